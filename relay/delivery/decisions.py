"""What becomes of an event: decided when the scan meets it, and again when its row is due, under the version in use."""

from relay.delivery.crashes import hand
from relay.delivery.desk import Desk
from relay.delivery.ends import Ends
from relay.delivery.lanes import ENDED, WAITING, Item
from relay.delivery.stream import Stream
from relay.outbox.interface import WHOLE, Claim, Outcome, Settlement
from relay.outbox.ledger import whole
from relay.pipeline.decision import Drop, Sourced, Unit
from relay.pipeline.destination_side import destination_side

NO_MAPPING = Drop("trigger", "NO_MATCHING_MAPPING")


class Decisions:
    """Decides for one destination: an event leaves by a door, waits behind a row of its lane, or has units to attempt."""

    def __init__(self, desk: Desk, ends: Ends) -> None:
        self._desk = desk
        self._ends = ends
        self._doors: dict[Drop, tuple[Outcome, ...]] = {}

    def meet(self, stream: Stream, entry: Sourced) -> bool:
        """Decide about one scanned event; False: it would have to be parked, and the rows are at their cap (rule 5.8)."""
        if not stream.wanted(entry.event):
            stream.skip(entry.seq, entry.seq)
            return True
        if stream.end is not None:
            entry = Sourced(entry.seq, stream.marked(entry.event), entry.drop)
        event = entry.event
        if stream.caution and stream.caution.is_guilty(hand(entry.seq)):
            stream.settle(Settlement(entry.seq, event.source_id, (self._ends.convict(stream, entry.seq, event),), event.keys), None)
            return True
        decision = destination_side(entry, self._desk.destination)
        if isinstance(decision, Drop):
            outcomes = self._doors.get(decision) or self._doors.setdefault(decision, (whole(decision.door.value, decision.code),))
            stream.drop(entry.seq, event.source_id, outcomes)
            return True
        if self._is_loose(stream, decision):
            self._desk.batches.add(None, decision[0], self._desk.clock.monotonic())
            self._desk.board.loose += 1
            return True
        return self._enter(stream, entry, decision)

    def _is_loose(self, stream: Stream, units: list[Unit]) -> bool:
        """Whether nothing need be known of the event by itself while all goes well (`lanes.Member`)."""
        desk = self._desk
        return desk.board.keyless and stream is desk.live and not stream.caution and len(units) == 1 and bool(units[0].batch_key)

    def _enter(self, stream: Stream, entry: Sourced, units: list[Unit]) -> bool:
        """Put the event on the board, or park it; False as of `meet`."""
        board, event = self._desk.board, entry.event
        keys = board.keys(event.keys)
        item = Item(entry.seq, event.source_id, keys, stream.name, stream.end is not None, None, event, units)
        if item.foreign or not board.lanes.is_behind_row(item.seq, keys):
            board.add(item)
        elif board.lanes.rows >= self._desk.destination.destination.max_waiting:
            return False
        else:
            self._ends.park(stream, item)
        return True

    async def load(self, item: Item) -> None:
        """Bring back the event of a row and decide it; with units it is offered again, before all others."""
        board, row = self._desk.board, item.row
        assert row is not None
        stream = board.streams[item.stream]
        event = (await stream.consumer.fetch([item.seq])).get(item.seq)
        if event is None or item.gone:  # a missing body is no error: the ledger has decided (trap 9)
            board.land(item, ENDED)
            board.vanish(item)
            return
        if stream.caution and stream.caution.is_guilty(hand(item.seq, row)):
            item.event, item.results = event, [self._ends.convict(stream, item.seq, event, row)]
            self._ends.item(item)
            return
        sourced = (stream.feed or self._desk.means.feed).sourced(Claim(item.seq, stream.marked(event)))
        item.event = sourced.event
        decision = destination_side(sourced, self._desk.destination)
        if not isinstance(decision, Drop):
            item.units = [unit for unit in decision if row.subscription_id in (WHOLE, unit.subscription_id)]
            if item.units:
                board.land(item, WAITING)
                board.offer_first(item)
                return
            decision = NO_MAPPING
        if decision.code == "destination_disabled":  # open rows wait until it is switched on again, by another actor
            board.land(item, WAITING)
            return
        item.results = [Outcome(row.subscription_id, decision.door.value, decision.code, row.attempts, row.first_s)]
        self._ends.item(item)
