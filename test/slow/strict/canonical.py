"""One text for every value, whichever reader it came from."""
import datetime
import decimal
import hashlib
import json
import math
import uuid


def text(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(float(value))
    if isinstance(value, decimal.Decimal):
        return format(value.normalize(), "f") if value else "0"
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return value.isoformat(timespec="microseconds")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat() if isinstance(value, datetime.date) else value.isoformat(timespec="microseconds")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, uuid.UUID):
        return str(value)
    if hasattr(value, "asDict"):
        return text(value.asDict())
    if isinstance(value, dict):
        return {str(key): text(item) for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))}
    if isinstance(value, (list, tuple)):
        # Arrow and DuckDB give maps as lists of pairs.
        if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
            return text(dict(value))
        return [text(item) for item in value]
    if hasattr(value, "item"):
        return text(value.item())
    return value


def digest(rows, names):
    """Counts, sums of whole numbers, nulls per column, and a checksum over all rows in any order."""
    lines = sorted(json.dumps([text(row[name]) for name in names], ensure_ascii=False, sort_keys=True) for row in rows)
    sums = {n: sum(row[n] for row in rows if isinstance(row[n], int) and not isinstance(row[n], bool)) for n in names}
    return {
        "rows": len(lines),
        "columns": list(names),
        "nulls": {name: sum(row[name] is None for row in rows) for name in names},
        "sums": {name: total for name, total in sums.items() if total},
        "checksum": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    }
