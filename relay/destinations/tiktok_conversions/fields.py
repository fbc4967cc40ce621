"""The fields of the one action: those of every event first, then those of leads, vehicles and travel."""

from collections.abc import Iterable
from typing import Any, Final

from relay.kit.definition import Condition, Field, When


def either(first: str, second: str) -> dict[str, Any]:
    """The value at `first`, else the one at `second`."""
    return {"@if": {"exists": {"@path": f"$.{first}"}, "then": {"@path": f"$.{first}"}, "else": {"@path": f"$.{second}"}}}


def _of_properties(names: Iterable[str], **others: str) -> dict[str, Any]:
    """Each name from the property of the same name; `others`: those whose property is called otherwise."""
    return {name: {"@path": f"$.properties.{others.get(name, name)}"} for name in names}


EVENT: Final = (
    Field("event_source", "Event source", choices=("web", "crm"), default="web", help="A web page, or a CRM."),
    Field("event_spec_type", "Kind of fields", choices=("travel_fields", "vehicle_fields"), help="Sends the fields of this kind along."),
    Field("event", "Event", required=True, help="TikTok's name of the event."),
    Field("event_id", "Event id", default={"@path": "$.messageId"}, help="Against duplicates, also of the pixel in the page."),
    Field("timestamp", "Timestamp", default={"@path": "$.timestamp"}, help="When it happened."),
)
PERSON: Final = (
    Field("phone_number", "Phone numbers", multiple=True, default=either("properties.phone", "context.traits.phone"), help="With country code; hashed."),
    Field("email", "E-mail addresses", multiple=True, default=either("properties.email", "context.traits.email"), help="Hashed."),
    Field("first_name", "First name", default=either("properties.first_name", "context.traits.first_name"), help="Hashed."),
    Field("last_name", "Last name", default=either("properties.last_name", "context.traits.last_name"), help="Hashed."),
    Field(
        "address", "Address", type="object",
        properties=(Field("city", "City"), Field("country", "Country"), Field("zip_code", "Postal code"), Field("state", "State")),
        default={
            "city": either("properties.address.city", "context.traits.address.city"),
            "country": either("properties.address.country", "context.traits.address.country"),
            "zip_code": either("properties.address.postal_code", "context.traits.address.postal_code"),
            "state": either("properties.address.state", "context.traits.address.state"),
        },
        help="The postal code is hashed.",
    ),
)  # fmt: skip
ORDER: Final = (
    Field("order_id", "Order id", default={"@path": "$.properties.order_id"}),
    Field("shop_id", "Shop id", default={"@path": "$.properties.shop_id"}),
)
VISIT: Final = (
    Field("external_id", "External ids", multiple=True, default=either("userId", "anonymousId"), help="Hashed."),
    Field(
        "ttclid", "Click id", default=either("properties.ttclid", "integrations.TikTok Conversions.ttclid"), help="One in the page's URL goes first."
    ),
    Field("ttp", "Cookie id", default=either("properties.ttp", "integrations.TikTok Conversions.ttp")),
    Field("locale", "Locale", default={"@path": "$.context.locale"}),
    Field("url", "Page URL", default={"@path": "$.context.page.url"}),
    Field("referrer", "Referrer", default={"@path": "$.context.page.referrer"}),
    Field("ip", "IP address", default={"@path": "$.context.ip"}),
    Field("user_agent", "User agent", default={"@path": "$.context.userAgent"}),
)
CONTENT: Final = (
    Field(
        "contents", "Contents", type="object", multiple=True,
        properties=(
            Field("price", "Price", type="number"),
            Field("quantity", "Quantity", type="number"),
            Field("content_category", "Category"),
            Field("content_id", "Id"),
            Field("content_name", "Name"),
            Field("brand", "Brand"),
        ),
        help="The products.",
    ),
    Field("content_ids", "Content ids", multiple=True, default={"@path": "$.properties.content_ids"}, help="Ids alone, where there are no contents."),
    Field("num_items", "Number of items", type="number", default={"@path": "$.properties.num_items"}),
    Field("content_type", "Content type", choices=("product", "product_group"), default="product", help="What the ids stand for."),
    Field("currency", "Currency", default={"@path": "$.properties.currency"}, help="ISO 4217."),
    Field("value", "Value", type="number", default=either("properties.value", "properties.revenue")),
    Field("description", "Description"),
    Field("query", "Query", default={"@path": "$.properties.query"}),
)  # fmt: skip
HANDLING: Final = (
    Field("limited_data_use", "Limited data use", type="boolean", default={"@path": "$.properties.limited_data_use"}),
    Field("test_event_code", "Test event code", help="Shows events in the test view; they count as real ones all the same."),
    Field(
        "delivery_category", "Delivery", choices=("in_store", "curbside", "home_delivery"), default={"@path": "$.properties.delivery_category"}
    ),
    Field("predicted_ltv", "Predicted lifetime value", type="number", default={"@path": "$.properties.predicted_ltv"}),
    Field("search_string", "Search string", default={"@path": "$.properties.search_string"}),
)  # fmt: skip
LEAD: Final = Field(
    "lead_fields", "Lead", type="object", required=When((Condition("event_source", "crm"),)),
    properties=(Field("lead_id", "Lead id"), Field("lead_event_source", "CRM", help="The name of the CRM.")),
    default=_of_properties(("lead_id", "lead_event_source")),
    help="Needed when the event source is crm.",
)  # fmt: skip

_VEHICLE: Final = (
    Field("postal_code", "Postal code"),
    Field("make", "Make"),
    Field("model", "Model"),
    Field("year", "Year", type="number"),
    Field("state_of_vehicle", "State", choices=("New", "Used", "CPO")),
    Field("mileage_value", "Mileage", type="number"),
    Field("mileage_unit", "Unit of the mileage", choices=("MI", "KM")),
    Field("exterior_color", "Exterior colour"),
    Field("transmission", "Transmission", choices=("Automatic", "Manual", "Other")),
    Field(
        "body_style", "Body style",
        choices=("Convertible", "Coupe", "Hatchback", "Minivan", "Truck", "SUV", "Sedan", "Van", "Wagon", "Crossover", "Other"),
    ),
    Field("fuel_type", "Fuel", choices=("Diesel", "Electric", "Flex", "Gasoline", "Hybrid", "Other")),
    Field("drivetrain", "Drivetrain", choices=("AWD", "FOUR_WD", "FWD", "RWD", "TWO_WD", "Other")),
    Field("preferred_price_range_min", "Lowest price wanted", type="number"),
    Field("preferred_price_range_max", "Highest price wanted", type="number"),
    Field("trim", "Trim"),
    Field("vin", "VIN"),
    Field("interior_color", "Interior colour"),
    Field("condition_of_vehicle", "Condition", choices=("Excellent", "Good", "Fair", "Poor", "Other")),
    Field("viewcontent_type", "Kind of page viewed"),
    Field("search_type", "Kind of search"),
    Field("registration_type", "Kind of registration"),
)  # fmt: skip
VEHICLE: Final = Field(
    "vehicle_fields", "Vehicle", type="object", properties=_VEHICLE,
    default=_of_properties((field.name for field in _VEHICLE), drivetrain="drive_train"),
    help="Sent when the kind of fields is vehicle_fields.",
)  # fmt: skip

_TRAVEL: Final = (
    Field("city", "City"),
    Field("region", "Region"),
    Field("country", "Country"),
    Field("checkin_date", "Check-in"),
    Field("checkout_date", "Check-out"),
    Field("num_adults", "Adults", type="number"),
    Field("num_children", "Children", type="number"),
    Field("num_infants", "Infants", type="number"),
    Field("suggested_hotels", "Suggested hotels", multiple=True),
    Field("departing_departure_date", "Departure of the way out"),
    Field("returning_departure_date", "Departure of the way back"),
    Field("origin_airport", "From"),
    Field("destination_airport", "To"),
    Field("destination_ids", "Destination ids", multiple=True),
    Field("departing_arrival_date", "Arrival of the way out"),
    Field("returning_arrival_date", "Arrival of the way back"),
    Field("travel_class", "Class", choices=("eco", "prem", "bus", "first")),
    Field("user_score", "Score of the customer", type="number"),
    Field("preferred_num_stops", "Stops", type="integer"),
    Field("travel_start", "First day"),
    Field("travel_end", "Last day"),
    Field("suggested_destinations", "Suggested destinations", multiple=True),
)
TRAVEL: Final = Field(
    "travel_fields", "Travel", type="object", properties=_TRAVEL, default=_of_properties(field.name for field in _TRAVEL),
    help="Sent when the kind of fields is travel_fields.",
)  # fmt: skip

BATCHING: Final = (
    Field("enable_batching", "Batch events", type="boolean", help="Sends several events in one request."),
    Field("batch_size", "Batch size", type="integer", help="Most events in one request."),
)

FIELDS: Final = (*EVENT, *PERSON, *ORDER, *VISIT, *CONTENT, *HANDLING, LEAD, VEHICLE, TRAVEL, *BATCHING)
