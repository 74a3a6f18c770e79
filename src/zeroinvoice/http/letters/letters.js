// The pages that letters lead to: one form each, sent to the API with the letter's token.
"use strict";

const form = document.getElementById("form");
const told = document.getElementById("told");
// Behind the #, so that it is in no server's log; and out of the address once it is read.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);

const DONE = {
  "/api/auth/reset-password": "The new password is set. Log in with it; all sessions have ended.",
  "/api/auth/accept-invitation": "You have joined. Log in with your address and this password.",
};

if (!token) {
  form.hidden = true;
  told.textContent = "Open the link of the letter as a whole; there is something missing here.";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  const path = form.dataset.path;
  button.disabled = true;
  told.textContent = "One moment…";
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, ...Object.fromEntries(new FormData(form)) }),
    });
    if (answer.ok) {
      form.hidden = true;
      told.textContent = DONE[path];
    } else {
      const problem = await answer.json();
      told.textContent = problem.detail || problem.title;
    }
  } catch {
    told.textContent = "The service cannot be reached; try again.";
  } finally {
    button.disabled = false;
  }
});
