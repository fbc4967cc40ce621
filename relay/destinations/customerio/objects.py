"""Objects (companies, courses, ...) and their ties to people. Pure."""

from typing import Any, Final

from relay.destinations.customerio.api import CONVERT, OBJECT_TYPE, Fields, Operation, action, identifiers, operation, unix_date, with_unix_times
from relay.destinations.customerio.people import ANONYMOUS, CREATED_AT, PERSON, RELATIONSHIP, TYPE_OF_TRAITS
from relay.kit.defaults import first_of, path
from relay.kit.definition import Field

TYPE_OF_PROPERTIES: Final = Field(
    "object_type_id", "Object type", default=first_of("properties.object_type_id", "properties.objectTypeId"),
    help="Type of the object; 1 when left out.",
)  # fmt: skip
_MAPPED_ELSEWHERE: Final = frozenset(("object_type_id", "objectTypeId", "relationshipAttributes"))


def update_object(fields: Fields) -> Operation:
    """The object, and its tie to the person of the call, whom an anonymous id may name."""
    is_converted = bool(fields.get("convert_timestamp"))
    more: dict[str, Any] = {}
    if fields.get("custom_attributes") is not None:
        more["attributes"] = {key: value for key, value in fields["custom_attributes"].items() if key not in _MAPPED_ELSEWHERE}
    if fields.get("created_at"):
        more["created_at"] = unix_date(fields["created_at"]) if is_converted else fields["created_at"]
    person = {"person_id": fields.get("user_id")} if fields.get("user_id") else {"anonymous_id": fields.get("anonymous_id")}
    who = identifiers(person)
    if who is not None:
        tie: dict[str, Any] = {"identifiers": who}
        if attributes := fields.get("relationship_attributes"):
            tie["relationship_attributes"] = with_unix_times(attributes) if is_converted else attributes
        more["cio_relationships"] = [tie]
    target = {key: fields[key] for key in ("anonymous_id", "convert_timestamp") if key in fields}
    target |= {"object_id": fields["id"], "object_type_id": fields.get("object_type_id") or OBJECT_TYPE}
    return operation("object", "identify_anonymous" if who and "user_id" not in fields else "identify", target, more)


def delete_object(fields: Fields) -> Operation:
    """The object with its ties."""
    return operation("object", "delete", fields)


def delete_relationship(fields: Fields) -> Operation:
    """The tie between a person and an object."""
    who = identifiers({key: fields[key] for key in ("person_id", "anonymous_id") if key in fields})
    return operation("object", "delete_relationships", fields, {"cio_relationships": [{"identifiers": who}]})


ACTIONS: Final = (
    action(
        "createUpdateObject", "Create or update an object", "Writes a group as an object and ties the person to it.", 'type = "group"', update_object,
        (
            Field("id", "Object", required=True, default=path("groupId")),
            CREATED_AT,
            Field("custom_attributes", "Attributes", type="object", default=path("traits.objectAttributes"), help="Added or changed, never removed."),
            RELATIONSHIP,
            Field("user_id", "Person", default=path("userId"), help="Who is tied to the object."),
            ANONYMOUS,
            TYPE_OF_TRAITS,
            CONVERT,
        ),
    ),
    action(
        "deleteObject", "Delete an object", "Deletes an object.", 'event = "Object Deleted"', delete_object,
        (Field("object_id", "Object", default=path("properties.objectId")), TYPE_OF_PROPERTIES),
    ),
    action(
        "deleteRelationship", "Delete a relationship", "Unties a person from an object.", 'event = "Relationship Deleted"', delete_relationship,
        (PERSON, ANONYMOUS, Field("object_id", "Object", required=True, default=path("properties.objectId")), TYPE_OF_PROPERTIES),
    ),
)  # fmt: skip
