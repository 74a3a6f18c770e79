"""How the API description shows our own types."""

from typing import Any

from litestar._openapi.schema_generation import SchemaCreator
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from zeroinvoice.kernel.money import Exact


class ExactSchema(OpenAPISchemaPlugin):
    """Exact decimals: a string or a number going in, always a string coming out."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        return value is Exact

    def to_openapi_schema(
        self, field_definition: FieldDefinition, schema_creator: SchemaCreator
    ) -> Schema:
        return Schema(
            type=[OpenAPIType.STRING, OpenAPIType.NUMBER],
            pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,6})?$",
            description="A decimal number as text, such as 19.99; a JSON number is taken too.",
        )
