// The API reference: reads the description of this very server and shows it. No other address is
// ever asked, and the access token lives in this page's memory only.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const SHOWN_HEADERS = ["etag", "x-position", "x-projection-lag", "idempotent-replayed", "retry-after", "x-request-id"];
const DEEPEST = 5; // levels of an example
const FIRST = 12; // fields shown at once

let description = null;
let token = "";

// Making elements

function make(name, given = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (key === "text") element.textContent = value;
    else if (key in element && key !== "list") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((it) => it !== null && it !== undefined && it !== false));
  return element;
}

// Prose with `code` and **strong words**; never markup.
function prose(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map((part) => {
    if (part.startsWith("`")) return make("code", { text: part.slice(1, -1) });
    if (part.startsWith("**")) return make("strong", { text: part.slice(2, -2) });
    return part;
  });
}

function json(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const shown = make("pre", { tabIndex: 0 });
  const tokens = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;
  let at = 0;
  for (const found of text.matchAll(tokens)) {
    shown.append(text.slice(at, found.index));
    at = found.index + found[0].length;
    if (found[1] && found[2]) shown.append(make("span", { className: "k", text: found[1] }), found[2]);
    else shown.append(make("span", { className: found[1] ? "s" : found[3] ? "w" : "n", text: found[0] }));
  }
  shown.append(text.slice(at));
  return shown;
}

// Schemas

function resolved(schema) {
  let it = schema ?? {};
  while (it.$ref) it = it.$ref.slice(2).split("/").reduce((node, key) => node[key], description);
  return it;
}

// The schema without "or null", and whether null was among its choices.
function unwrapped(schema) {
  const it = resolved(schema);
  const choices = it.oneOf ?? it.anyOf;
  if (!choices) return [it, false];
  const real = choices.filter((choice) => choice.type !== "null");
  if (real.length === 1) return [{ ...it, oneOf: undefined, anyOf: undefined, ...resolved(real[0]) }, real.length < choices.length];
  return [{ ...it, oneOf: real, anyOf: undefined }, real.length < choices.length];
}

function kindOf(schema) {
  const [it, nullable] = unwrapped(schema);
  let word;
  if (it.oneOf) word = it.oneOf.map(kindOf).join(" or ");
  else if (it.enum) word = it.enum.map((value) => JSON.stringify(value)).join(" | ");
  else if (it.const !== undefined) word = JSON.stringify(it.const);
  else if (it.type === "array") word = `list of ${kindOf(it.items ?? {})}`;
  else if (it.type === "object" && it.title) word = it.title;
  else if (it.type === "object" && it.additionalProperties) word = "map";
  else word = [it.type ?? "any"].flat().join(" or ") + (it.format ? ` (${it.format})` : "");
  return nullable ? `${word} or null` : word;
}

function limitsOf(it) {
  const said = [];
  if (![undefined, null, ""].includes(it.default) && it.default?.length !== 0) said.push(`default ${JSON.stringify(it.default)}`);
  if (it.minimum !== undefined) said.push(`at least ${it.minimum}`);
  if (it.maximum !== undefined) said.push(`at most ${it.maximum}`);
  if (it.minLength) said.push(`${it.minLength} characters or more`);
  if (it.maxLength) said.push(`at most ${it.maxLength} characters`);
  return said.join(", ");
}

// What a schema holds inside: its own members, those of its items, or those of a map's values.
function members(schema) {
  const [it] = unwrapped(schema);
  if (it.properties) return it;
  if (it.type === "array") return members(it.items);
  if (it.additionalProperties && it.additionalProperties !== true) return members(it.additionalProperties);
  return it.oneOf?.map(members).find(Boolean) ?? null;
}

function fieldList(schema) {
  const required = new Set(schema.required ?? []);
  const names = Object.keys(schema.properties);
  names.sort((a, b) => required.has(b) - required.has(a));
  const rows = names.map((name) => field(name, schema.properties[name], required.has(name)));
  const list = make("ul", { className: "fields" }, rows.slice(0, FIRST));
  if (rows.length <= FIRST + 2) {
    list.append(...rows.slice(FIRST));
    return list;
  }
  const rest = make("button", { type: "button", text: `Show ${rows.length - FIRST} more fields` });
  rest.addEventListener("click", () => {
    list.append(...rows.slice(FIRST));
    rows[FIRST].tabIndex = -1;
    rows[FIRST].focus();
    rest.remove();
  });
  return make("div", {}, list, rest);
}

function field(name, schema, required, told) {
  const [it] = unwrapped(schema);
  const inner = members(schema);
  const words = [told ?? it.description, limitsOf(it)].filter(Boolean).join(" · ");
  return make("li", {},
    make("span", { className: "name", text: name }),
    make("span", { className: "kind", text: kindOf(schema) }),
    required && make("span", { className: "must", text: "required" }),
    words && make("p", {}, prose(words)),
    inner && later(`Show ${inner.title ?? "its fields"}`, () => fieldList(inner)));
}

// A part that is made when it is first opened; schemas may hold themselves.
function later(words, build) {
  const details = make("details", { className: "more" }, make("summary", { text: words }));
  details.addEventListener("toggle", () => details.append(build()), { once: true });
  return details;
}

const SAMPLES = { uuid: "01890a5d-ac96-774b-bcce-b302099a8057", date: "2026-06-01", "date-time": "2026-06-01T09:30:00Z" };

function sample(schema, whole, name = "", depth = 0) {
  const [it, nullable] = unwrapped(schema);
  if (it.example !== undefined) return it.example;
  if (it.enum) return it.enum[0];
  if (it.const !== undefined) return it.const;
  if (it.oneOf) return sample(it.oneOf[0], whole, name, depth);
  if (it.properties) {
    if (depth >= DEEPEST) return nullable ? null : {};
    const required = it.required ?? [];
    let names = Object.keys(it.properties);
    if (!whole && required.length) names = names.filter((key) => required.includes(key));
    else if (!whole) names = names.slice(0, 3);
    return Object.fromEntries(names.map((key) => [key, sample(it.properties[key], whole, key, depth + 1)]));
  }
  if (it.type === "array") return depth >= DEEPEST ? [] : [sample(it.items ?? {}, whole, name, depth + 1)];
  if (it.type === "object") return {};
  const kind = [it.type].flat()[0];
  if (["integer", "number"].includes(kind)) return it.default ?? it.minimum ?? 1;
  if (kind !== "string") return kind === "boolean" ? it.default ?? false : null;
  if (SAMPLES[it.format]) return SAMPLES[it.format];
  if (it.pattern?.startsWith("^-?[0-9]") || /amount|total|price|balance|due$|rate/.test(name)) return "150.00";
  if (name.includes("email")) return "user@example.com";
  if (name.includes("currency")) return "USD";
  return it.default ?? name.replaceAll("_", " ");
}

// One operation

function operations() {
  const found = [];
  for (const [path, item] of Object.entries(description.paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (!operation) continue;
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolved);
      found.push({ ...operation, path, method, parameters, tag: operation.tags?.[0] ?? "other" });
    }
  }
  return found;
}

function needsLogin(operation) {
  const asked = operation.security ?? description.security ?? [];
  return asked.length > 0 && asked.every((way) => Object.keys(way).length > 0);
}

function pathWords(path) {
  return path.split(/(\{[^}]+\})/).filter(Boolean)
    .map((part) => (part.startsWith("{") ? make("var", { text: part }) : part));
}

function card(operation) {
  const details = make("details", { className: "operation", id: operation.operationId },
    make("summary", { className: operation.method },
      make("span", { className: "method", text: operation.method }),
      make("span", { className: "path" }, pathWords(operation.path)),
      make("span", { className: "says" }, prose(operation.summary ?? "")),
      make("span", { className: "lock", text: needsLogin(operation) ? "login" : "open", title: needsLogin(operation) ? "Needs an access token" : "For anybody" })));
  details.addEventListener("toggle", () => details.append(inside(operation)), { once: true });
  return details;
}

function inside(operation) {
  const told = operation.description && make("p", { className: "told" }, prose(operation.description));
  return make("div", { className: "inside" }, told, documented(operation), tried(operation));
}

function documented(operation) {
  const bodies = Object.entries(operation.requestBody?.content ?? {});
  const body = bodies[0] && members(bodies[0][1].schema);
  return make("div", {},
    operation.parameters.length > 0 && [
      make("h3", { text: "Parameters" }),
      make("ul", { className: "fields" }, operation.parameters.map((it) =>
        field(it.name, it.schema ?? {}, it.required, [it.in === "query" ? "" : `in ${it.in}`, it.description].filter(Boolean).join(" · ")))),
    ],
    bodies.length > 0 && [
      make("h3", {}, "Body ", make("span", { className: "id", text: bodies.map(([kind]) => kind).join(", ") })),
      body ? fieldList(body) : make("p", { className: "quiet", text: kindOf(bodies[0][1].schema) }),
    ],
    make("h3", { text: "Answers" }),
    make("div", { className: "answers" }, Object.entries(operation.responses ?? {}).map(answer)),
    make("p", { className: "id", text: operation.operationId }));
}

function answer([status, response]) {
  const it = resolved(response);
  const [kind, content] = Object.entries(it.content ?? {})[0] ?? [];
  const words = /^(Request fulfilled|Document created|Request accepted)/.test(it.description ?? "") ? "Done" : it.description;
  const details = make("details", {},
    make("summary", {},
      make("span", { className: `status ${tone(status)}`, text: status }), make("span", { className: "quiet", text: words ?? "" })));
  details.addEventListener("toggle", () => {
    const fields = content?.schema && members(content.schema);
    details.append(make("div", {},
      kind ? make("p", { className: "id", text: `${kind}: ${kindOf(content.schema ?? {})}` }) : make("p", { className: "quiet", text: "No body." }),
      kind && json(kind.includes("problem") ? { ...sample(content.schema, true), status: Number(status) } : sample(content.schema, true)),
      fields && later("Show the fields", () => fieldList(fields))));
  }, { once: true });
  return details;
}

const tone = (status) => (Number(status) < 300 ? "fine" : Number(status) < 400 ? "moved" : "wrong");

// Trying it

function tried(operation) {
  const inputs = operation.parameters.filter((it) => it.in !== "cookie").map((it) => [it, parameterInput(it)]);
  const kinds = Object.keys(operation.requestBody?.content ?? {});
  const isForm = kinds[0]?.includes("form");
  const content = operation.requestBody?.content[kinds[0]];
  const key = operation.method !== "get" && make("input", { placeholder: "optional", spellcheck: false });
  const parts = isForm ? formInputs(content.schema) : [];
  const body = content && !isForm
    ? make("textarea", { value: JSON.stringify(content.example ?? sample(content.schema, false), null, 2), spellcheck: false })
    : null;
  if (body) body.rows = Math.min(16, body.value.split("\n").length + 1);
  const send = make("button", { className: "main", text: "Send" });
  const output = make("div", { className: "answer", role: "status" });
  const asked = () => request(operation, inputs, { body, parts, key });
  const form = make("form", { className: "try" },
    make("div", { className: "pair" },
      inputs.map(([it, input]) => make("label", {}, `${it.name}${it.required ? " *" : ""}`, input)),
      parts.map(([name, input]) => make("label", {}, name, input)),
      key && make("label", {}, "Idempotency-Key", key)),
    body && make("label", {}, "Body", body),
    make("div", { className: "act" }, send, copyButton(() => curl(asked()))),
    output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    output.replaceChildren(...(await exchanged(asked())));
    send.disabled = false;
  });
  return make("div", {}, make("h3", { text: "Try it" }), form);
}

function parameterInput(parameter) {
  const [it] = unwrapped(parameter.schema ?? {});
  if (it.enum || it.type === "boolean") {
    const values = ["", ...(it.enum ?? ["true", "false"])];
    return make("select", {}, values.map((value) => make("option", { value, text: String(value) })));
  }
  const hint = it.type === "array" ? "separate with commas" : it.default ?? it.format ?? "";
  return make("input", { placeholder: String(hint), required: parameter.required, spellcheck: false });
}

function formInputs(schema) {
  return Object.keys(resolved(schema).properties ?? {}).map((name) =>
    [name, make("input", { type: name === "password" ? "password" : "text", autocomplete: "off" })]);
}

function request(operation, inputs, { body, parts, key }) {
  const headers = {};
  const query = new URLSearchParams();
  let path = operation.path;
  for (const [it, input] of inputs) {
    const value = input.value.trim();
    if (it.in === "path") path = path.replace(`{${it.name}}`, encodeURIComponent(value));
    else if (!value) continue;
    else if (it.in === "header") headers[it.name] = value;
    else {
      const many = unwrapped(it.schema ?? {})[0].type === "array";
      for (const one of many ? value.split(",") : [value]) query.append(it.name, one.trim());
    }
  }
  if (token && needsLogin(operation)) headers.Authorization = `Bearer ${token}`;
  if (key && key.value.trim()) headers["Idempotency-Key"] = key.value.trim();
  let content;
  if (body?.value.trim()) [headers["Content-Type"], content] = ["application/json", body.value];
  if (parts.length) {
    const filled = parts.filter(([, input]) => input.value).map(([name, input]) => [name, input.value]);
    headers["Content-Type"] = "application/x-www-form-urlencoded";
    content = new URLSearchParams(filled).toString();
  }
  const url = path + (query.size ? `?${query}` : "");
  return { url, method: operation.method.toUpperCase(), headers, content };
}

async function exchanged({ url, method, headers, content }) {
  const begun = performance.now();
  try {
    const response = await fetch(url, { method, headers, body: content, credentials: "omit" });
    const text = await response.text();
    const took = Math.round(performance.now() - begun);
    const line = make("div", { className: "line" },
      make("b", { className: tone(response.status), text: `${response.status}` }),
      make("span", { text: `${took} ms` }),
      SHOWN_HEADERS.filter((name) => response.headers.has(name))
        .map((name) => make("span", { text: `${name}: ${response.headers.get(name)}` })));
    let shown = text && make("pre", { tabIndex: 0, text });
    if (response.headers.get("content-type")?.includes("json") && text) shown = json(JSON.parse(text));
    return [line, shown].filter(Boolean);
  } catch (lost) {
    return [make("p", { className: "wrong", text: `The server cannot be reached: ${lost.message}` })];
  }
}

function curl({ url, method, headers, content }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const words = ["curl", method === "GET" ? "" : `-X ${method}`, quoted(location.origin + url)];
  for (const [name, value] of Object.entries(headers)) {
    words.push(`-H ${name === "Authorization" ? '"Authorization: Bearer $TOKEN"' : quoted(`${name}: ${value}`)}`);
  }
  if (content) words.push(`-d ${quoted(content)}`);
  return words.filter(Boolean).join(" ");
}

function copyButton(text) {
  if (!navigator.clipboard) return null;
  const button = make("button", { type: "button", text: "Copy as curl" });
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text());
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy as curl"; }, 1500);
  });
  return button;
}

// The page as a whole

function entry() {
  const username = make("input", { type: "email", autocomplete: "off", required: true });
  const password = make("input", { type: "password", autocomplete: "off", required: true });
  const pasted = make("input", { autocomplete: "off", spellcheck: false, placeholder: "or paste one" });
  const state = make("p", { className: "state", role: "status" });
  const known = (words) => { state.textContent = words; };
  pasted.addEventListener("input", () => {
    token = pasted.value.trim();
    known(token && "The token is used for all that is sent from here.");
  });
  const form = make("form", { className: "row" },
    make("label", {}, "E-mail", username), make("label", {}, "Password", password),
    make("button", { className: "main", text: "Log in" }));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = new URLSearchParams({ username: username.value, password: password.value });
    try {
      const response = await fetch("/api/auth/login", { method: "POST", body, credentials: "omit" });
      const answered = await response.json();
      if (!response.ok || !answered.access_token) return known(answered.detail ?? "This needs a second factor; paste a token.");
      token = answered.access_token;
      password.value = "";
      pasted.value = "";
      known(`Logged in as ${username.value}.`);
    } catch (lost) {
      known(`The server cannot be reached: ${lost.message}`);
    }
  });
  return make("section", { className: "entry", "aria-label": "Log in" },
    make("h2", { text: "Log in to try things" }),
    make("p", { text: "The token stays in this page’s memory and is gone when it is closed." }),
    form, make("div", { className: "row" }, make("label", {}, "Access token", pasted)), state);
}

function build() {
  const all = operations();
  const rank = (tag) => ({ auth: `0${tag}`, health: `2${tag}` })[tag] ?? `1${tag}`;
  const tags = [...new Set(all.map((it) => it.tag))].sort((a, b) => rank(a).localeCompare(rank(b)));
  const { info } = description;
  const head = make("header", {},
    make("h1", {}, info.title, make("span", { className: "version", text: info.version })),
    (info.description ?? "").trim().split(/\n+/).map((text) => make("p", {}, prose(text))),
    make("p", {}, make("a", { href: "/schema/openapi.json", text: "The description for programs (OpenAPI)" })));
  const nav = document.getElementById("nav");
  const sections = tags.map((tag) => {
    const mine = all.filter((it) => it.tag === tag);
    nav.append(make("section", {}, make("h2", { text: tag }), make("ul", {}, mine.map(link))));
    return make("section", { id: `tag-${tag.replaceAll(" ", "-")}` }, make("h2", { text: tag }), mine.map(card));
  });
  document.getElementById("content").replaceChildren(head, entry(), ...sections);
  document.title = info.title;
  follow();
  filtering();
}

function link(operation) {
  const words = `${operation.method} ${operation.path} ${operation.summary ?? ""} ${operation.operationId} ${operation.tag}`;
  const to = make("a", { href: `#${operation.operationId}`, className: operation.method, title: operation.path },
    make("span", { className: "method", text: operation.method === "delete" ? "del" : operation.method }),
    make("span", { text: (operation.summary ?? operation.path).split(/[;:]/)[0] }));
  return make("li", { "data-words": words.toLowerCase() }, to);
}

// The address names an operation: open it, and mark it in the contents.
function follow() {
  const show = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    for (const it of document.querySelectorAll("#nav a")) it.ariaCurrent = it.hash === `#${id}` ? "true" : null;
    const target = document.getElementById(id);
    if (!target || !target.classList.contains("operation")) return;
    target.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", show);
  document.getElementById("nav").addEventListener("click", (event) => {
    const to = event.target.closest("a");
    if (to) toggleContents(false);
    if (to?.hash === location.hash) show();
  });
  show();
}

function filtering() {
  const box = document.getElementById("filter");
  const narrow = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let any = false;
    for (const section of document.querySelectorAll("#nav section")) {
      let some = false;
      for (const item of section.querySelectorAll("li")) {
        item.hidden = !words.every((word) => item.dataset.words.includes(word));
        document.getElementById(item.querySelector("a").hash.slice(1)).hidden = item.hidden;
        some ||= !item.hidden;
      }
      section.hidden = !some;
      any ||= some;
    }
    for (const section of document.querySelectorAll("main > section[id]")) {
      section.hidden = !section.querySelector(".operation:not([hidden])");
    }
    document.getElementById("nothing").hidden = any;
  };
  box.addEventListener("input", narrow);
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      toggleContents(true);
      box.focus();
    } else if (event.key === "Escape" && event.target === box) {
      box.value = "";
      narrow();
    }
  });
  document.getElementById("menu").addEventListener("click", (event) =>
    toggleContents(event.currentTarget.getAttribute("aria-expanded") !== "true"));
}

function toggleContents(shown) {
  document.getElementById("contents").classList.toggle("shown", shown);
  document.getElementById("menu").setAttribute("aria-expanded", String(shown));
}

async function begin() {
  try {
    const response = await fetch("/schema/openapi.json", { credentials: "omit" });
    if (!response.ok) throw new Error(`status ${response.status}`);
    description = await response.json();
  } catch (lost) {
    document.getElementById("loading").textContent = `The description cannot be loaded: ${lost.message}`;
    return;
  }
  build();
}

begin();
