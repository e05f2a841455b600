"""Is it OpenAPI 3.1? Prints what is not.

    openapi_valid.py openapi.json schema.json

By the OpenAPI initiative's schema; that leaves the Schema Objects open, which are checked as the JSON Schema 2020-12
that they are. Whatever is named is used somewhere.
"""
import json
import sys

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError


def schemas_of(value, where="#"):
    """Every Schema Object below a value, outermost only, and where it stands."""
    if isinstance(value, dict):
        for key, each in value.items():
            place = f"{where}/{key}"
            if key == "schema":
                yield place, each
            elif key == "schemas":
                yield from ((f"{place}/{name}", one) for name, one in each.items())
            else:
                yield from schemas_of(each, place)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from schemas_of(each, f"{where}/{at}")


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from references(each)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    with open(sys.argv[2], encoding="utf-8") as file:
        openapi = json.load(file)
    for error in Draft202012Validator(openapi).iter_errors(document):
        print(f"{error.json_path}: {error.message[:300]}")
    checked = 0
    for place, schema in schemas_of(document):
        checked += 1
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            print(f"{place}: {error.json_path}: {error.message[:300]}")
    used = set(references(document))
    for kind in ("schemas", "parameters", "headers"):
        for name in document["components"][kind]:
            if f"#/components/{kind}/{name}" not in used:
                print(f"components/{kind}/{name} is not used")
    print(f"{checked} schemas", file=sys.stderr)


main()
