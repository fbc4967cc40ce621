"""Operations on people: create or update, delete, merge, suppress, and the reverse. Pure."""

from collections.abc import Callable
from typing import Any, Final

from relay.destinations.customerio.api import CONVERT, OBJECT_TYPE, Fields, Operation, action, identifiers, operation
from relay.kit.defaults import first_of, path, template
from relay.kit.definition import Field

PERSON: Final = Field("person_id", "Person", required=True, default=path("userId"), help="Id of the person: their id, e-mail address, or cio_ id.")
ANONYMOUS: Final = Field("anonymous_id", "Anonymous id", default=path("anonymousId"), help="Ties what the person did before to them.")
CREATED_AT: Final = Field("created_at", "Created at", default=first_of("traits.created_at", "traits.createdAt"), help="When it was made.")
TYPE_OF_TRAITS: Final = Field(
    "object_type_id", "Object type", default=first_of("traits.object_type_id", "traits.objectTypeId"), help="Type of the object; 1 when left out."
)
RELATIONSHIP: Final = Field(
    "relationship_attributes", "Relationship attributes", type="object", default=path("traits.relationshipAttributes"),
    help="Attributes of the tie between person and object.",
)  # fmt: skip
_MAPPED_ELSEWHERE: Final = frozenset(("createdAt", "created_at", "object_type_id", "objectTypeId", "relationshipAttributes"))


def update_person(fields: Fields) -> Operation:
    """The traits as attributes, and the tie to an object when one is named."""
    attributes = {key: value for key, value in (fields.get("custom_attributes") or {}).items() if key not in _MAPPED_ELSEWHERE}
    attributes |= {key: fields[key] for key in ("created_at", "email") if fields.get(key)}
    ties: list[dict[str, Any]] | None = None
    if fields.get("group_id"):
        ties = [{"identifiers": {"object_type_id": fields.get("object_type_id") or OBJECT_TYPE, "object_id": fields["group_id"]}}]
        if fields.get("relationship_attributes"):
            ties[0]["relationship_attributes"] = fields["relationship_attributes"]
    who = {key: fields[key] for key in ("anonymous_id", "email", "timestamp", "convert_timestamp") if key in fields}
    return operation("person", "identify", who | {"person_id": fields.get("id")}, {"attributes": attributes, "cio_relationships": ties})


def merge_people(fields: Fields) -> Operation:
    """The secondary person becomes part of the primary one."""
    pair = {name: identifiers({"person_id": fields[name]}) for name in ("primary", "secondary")}
    return operation("person", "merge", {}, pair)


def _plain(name: str) -> Callable[[Fields], Operation]:
    return lambda fields: operation("person", name, fields)


ACTIONS: Final = (
    action(
        "createUpdatePerson", "Create or update a person", "Writes the traits of a person as attributes.", 'type = "identify"', update_person,
        (
            Field("id", "Person", default=first_of("userId", "traits.email"), help="Id of the person: their id, e-mail address, or cio_ id."),
            ANONYMOUS,
            Field("email", "E-mail", default=template("{{traits.email}}"), help="Also an id when there is no other."),
            CREATED_AT,
            Field("group_id", "Object", default=path("traits.objectId"), help="Id of an object to tie the person to."),
            Field("custom_attributes", "Attributes", type="object", default=path("traits"), help="Added or changed, never removed."),
            RELATIONSHIP,
            Field("timestamp", "Time", default=path("timestamp"), help="Orders changes of the person."),
            CONVERT,
            TYPE_OF_TRAITS,
        ),
    ),
    action("deletePerson", "Delete a person", "Deletes a person and what they did.", 'event = "User Deleted"', _plain("delete"), (PERSON,)),
    action(
        "mergePeople", "Merge people", "Makes two people one.", 'type = "alias"', merge_people,
        (
            Field("primary", "Primary person", required=True, default=path("userId"), help="Who stays: id, e-mail address, or cio_ id."),
            Field("secondary", "Secondary person", required=True, default=path("previousId"), help="Who is merged into the primary person."),
        ),
    ),
    action(
        "suppressPerson", "Suppress a person", "Deletes a person and takes no more of them.", 'event = "User Suppressed"', _plain("suppress"),
        (PERSON,),
    ),
    action(
        "unsuppressPerson", "Unsuppress a person", "Takes a suppressed person's data again.", 'event = "User Unsuppressed"', _plain("unsuppress"),
        (PERSON,),
    ),
)  # fmt: skip
