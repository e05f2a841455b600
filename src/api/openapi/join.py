#!/usr/bin/python3
"""Joins the OpenAPI sources beside this file into one document, as JSON and as C++.

    join.py OUT.json OUT.cpp document.yaml FILE.yaml...

A source is OpenAPI 3.1 in YAML, but for what would be said a hundred times. In schemas, a word stands for a schema:

    string integer number boolean object any    the JSON type
    Name, Name|null, [Name]                     the schema of that name; or null; an array of it
    page of Name                                a page of results
    members: {name: schema}                     an object with exactly these members, all of them there,
                                                but for those listed under `optional`
    fields: {name: schema}                      an object as a request may send it: others are ignored,
                                                those listed under `required` must be there

and an operation may say

    id, title       operationId, summary
    caller          anyone | session | member | addressee | workspace SCOPE: who may ask, and with it 403
    body            the schema of the JSON it takes, and with it 413 and 422 (400 on the client portal);
                    optional_body: one that may be left out
    keyed: true     takes Idempotency-Key, and may answer 409 while the first request runs
    answers         status: schema, "none", or a response: {description, headers, schema or content}
    errors          the further failures, a list of statuses or status: words

Parts of the path are parameters of the type that `path` says, uuid where it says nothing. Every operation may answer
429, 500 and 503 and, as any may be asked with a bad bearer, 401. What failures look like depends on the surface.
"""
import copy
import json
import re
import sys

import yaml

PRIMITIVES = {"string", "integer", "number", "boolean", "object"}
METHODS = {"get", "put", "post", "patch", "delete"}
WORDS = {200: "Done", 201: "Made", 202: "Accepted", 204: "Done; no body", 304: "What you have is still true"}
# A failure's name among components/responses; the client portal's begin with ClientPortal.
FAILURES = {400: "Malformed", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
            409: "Conflict", 410: "Gone", 413: "TooLarge", 422: "Invalid", 429: "TooManyRequests", 500: "Failed",
            503: "Unavailable"}
LIMITED = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit-Policy", "RateLimit"]


class Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, and keeps times and dates as text."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


Loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


def reference(kind, name):
    return {"$ref": f"#/components/{kind}/{name}"}


def schema(value):
    """What a source says of a schema, as JSON Schema."""
    if isinstance(value, str):
        if value.startswith("page of "):
            return {"type": "object", "required": ["data", "meta"], "additionalProperties": False,
                    "properties": {"data": {"type": "array", "items": schema(value[8:])},
                                   "meta": reference("schemas", "PageMeta")}}
        name, nullable = value.removesuffix("|null"), value.endswith("|null")
        if name in PRIMITIVES:
            return {"type": [name, "null"] if nullable else name}
        if name == "any":
            return {}
        if not re.fullmatch(r"[A-Z]\w*", name):
            raise ValueError(f"no schema: {value!r}")
        named = reference("schemas", name)
        return {"anyOf": [named, {"type": "null"}]} if nullable else named
    if isinstance(value, list):
        (items,) = value
        return {"type": "array", "items": schema(items)}
    if not isinstance(value, dict):
        raise ValueError(f"no schema: {value!r}")
    said = dict(value)
    made = {}
    if "members" in said:
        members = said.pop("members")
        optional = said.pop("optional", [])
        made = {"type": "object", "properties": {name: schema(each) for name, each in members.items()},
                "required": [name for name in members if name not in optional], "additionalProperties": False}
    elif "fields" in said:
        made = {"type": "object", "properties": {name: schema(each) for name, each in said.pop("fields").items()}}
    for key, each in said.items():
        if key in ("anyOf", "oneOf", "allOf"):
            made[key] = [schema(one) for one in each]
        elif key in ("items", "additionalProperties", "not") and not isinstance(each, bool):
            made[key] = schema(each)
        elif key == "properties":
            made[key] = {name: schema(one) for name, one in each.items()}
        else:
            made[key] = each
    return made


def content(value):
    return {"application/json": {"schema": schema(value)}}


def response(status, value):
    """An answer that is no failure."""
    if value == "none":
        return {"description": WORDS.get(status, "")}
    if not isinstance(value, dict) or "schema" not in value and "description" not in value:
        value = {"schema": value}
    made = {"description": value.get("description", WORDS.get(status, ""))}
    if "headers" in value:
        made["headers"] = {name: reference("headers", each) if isinstance(each, str) else each
                           for name, each in value["headers"].items()}
    if "schema" in value:
        made["content"] = content(value["schema"])
    elif "content" in value:
        made["content"] = {kind: {"schema": schema(each)} for kind, each in value["content"].items()}
    return made


def failure(status, client_portal, words=None):
    made = reference("responses", ("ClientPortal" if client_portal else "") + FAILURES[status])
    return {**made, "description": words} if words else made


def security(caller):
    who, _, scope = caller.partition(" ")
    return {
        "anyone": [],
        "session": [{"customerSession": []}, {"memberSession": []}, {"portalCookie": []}],
        "member": [{"memberSession": []}, {"portalCookie": []}],
        "addressee": [{"portalToken": []}, {"portalCookie": []}],
        "workspace": [{"workspaceToken": [scope]}],
    }[who]


def parameters(named):
    return [reference("parameters", each) if isinstance(each, str) else {**each, "schema": schema(each["schema"])}
            for each in named]


def operation(path, said, tag):
    said = dict(said)
    client_portal = path.startswith("/api/v1/client-portal")
    caller = said.pop("caller")
    made = {"tags": [tag], "operationId": said.pop("id"), "summary": said.pop("title")}
    if "description" in said:
        made["description"] = said.pop("description")
    made["security"] = security(caller)
    statuses = {401, 429, 500, 503}
    if caller != "anyone":
        statuses.add(403)
    named = said.pop("parameters", [])
    if said.pop("keyed", False):
        named = named + ["IdempotencyKey"]
        statuses |= {409, 422}
    if named:
        made["parameters"] = parameters(named)
    for key, required in (("body", True), ("optional_body", False)):
        if key in said:
            made["requestBody"] = {"required": required, "content": content(said.pop(key))}
            statuses |= {413, 422} | ({400} if client_portal else set())
    further = said.pop("errors", [])
    if isinstance(further, list):
        further = dict.fromkeys(further)
    responses = {status: response(status, value) for status, value in said.pop("answers").items()}
    for status in sorted(statuses | set(further)):
        responses.setdefault(status, failure(status, client_portal, further.get(status)))
    made["responses"] = {str(status): responses[status] for status in sorted(responses)}
    if said:
        raise ValueError(f"{path}: unknown {list(said)}")
    return made


def path_item(path, said, tag):
    said = dict(said)
    types = said.pop("path", {})
    made = {}
    names = re.findall(r"{(\w+)}", path)
    if names:
        made["parameters"] = [{"name": name, "in": "path", "required": True,
                               "schema": schema(types.get(name, {"type": "string", "format": "uuid"}))}
                              for name in names]
    for method, each in said.items():
        if method not in METHODS:
            raise ValueError(f"{path}: no method {method}")
        made[method] = operation(path, each, tag)
    return made


def component_response(said):
    """A failure: {description, schema[, headers]}; RFC 9457 where it is asked for."""
    made = response(0, said)
    if "content" in made:
        made["content"]["application/problem+json"] = {"schema": reference("schemas", "Problem")}
    return made


def with_headers(made):
    """Every answer has its request's id; where a limit was asked, what it said."""
    headers = {"X-Request-ID": reference("headers", "RequestId"), **made.get("headers", {})}
    for name in LIMITED:
        headers.setdefault(name, reference("headers", name.replace("-", "")))
    made["headers"] = headers


def join(sources):
    document = {"openapi": "3.1.0"}
    components = {kind: {} for kind in ("schemas", "responses", "parameters", "headers", "securitySchemes")}
    paths, tags = {}, []
    for source in sources:
        tag = source.pop("tag", None)
        if tag:
            tags.append(tag)
        for path, said in source.pop("paths", {}).items():
            if path in paths:
                raise ValueError(f"{path} is there twice")
            paths[path] = path_item(path, said, tag["name"])
        for kind, known in components.items():
            for name, said in source.pop(kind, {}).items():
                if name in known:
                    raise ValueError(f"{kind}/{name} is there twice")
                known[name] = {"schemas": schema, "responses": component_response,
                               "parameters": lambda one: {**one, "schema": schema(one["schema"])},
                               "headers": lambda one: {**one, "schema": schema(one["schema"])},
                               "securitySchemes": copy.copy}[kind](said)
        document.update(source)
    for item in paths.values():
        for method in METHODS & item.keys():
            for made in item[method]["responses"].values():
                if "$ref" not in made:
                    with_headers(made)
    for made in components["responses"].values():
        with_headers(made)
    document.update(tags=tags, paths=paths, components=components)
    check(document)
    return document


def check(document):
    """Every reference leads somewhere, every operation has a name of its own."""
    def walk(value):
        if isinstance(value, dict):
            target = value.get("$ref")
            if isinstance(target, str):
                _, _, kind, name = target.split("/")
                if name not in document["components"][kind]:
                    raise ValueError(f"nothing at {target}")
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                walk(each)
    walk(document)
    names = [item[method]["operationId"] for item in document["paths"].values() for method in METHODS & item.keys()]
    if len(names) != len(set(names)):
        raise ValueError(f"an operation's name is there twice: {sorted(names)}")


def main(out_json, out_cpp, *files):
    sources = []
    for name in files:
        with open(name, encoding="utf-8") as file:
            sources.append(yaml.load(file, Loader))
    text = json.dumps(join(sources), ensure_ascii=False, separators=(",", ":"))
    with open(out_json, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    with open(out_cpp, "w", encoding="utf-8") as file:
        file.write("// Made by src/api/openapi/join.py.\n#include \"api/openapi.h\"\n\nnamespace portal::api {\n\n"
                   f"const std::string_view openapi_document = R\"openapi({text})openapi\";\n\n"
                   "}  // namespace portal::api\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
