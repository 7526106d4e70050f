"""Money and sums, each with an answer computed by hand from the published prices."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal

import pytest

from tests.lib.usage.filling import NOON, OPUS, SONNET, bill
from trinity.errors import BadRecord, UsageError
from trinity.home import Home
from trinity.usage import catalogue, periods, report, rows, sums
from trinity.usage.amounts import Tokens
from trinity.usage.periods import Zone
from trinity.usage.prices import Book, band_of

UTC_DAY = periods.days(Zone("UTC"), Zone("UTC").day(NOON), Zone("UTC").day(NOON))


def _sums(home: Home, by: str | None = None, book: Book | None = None) -> dict[str, sums.Sum]:
    with rows.own(home, "PC1") as source:
        return sums.sums(source, UTC_DAY, book or Book(home), by)


def test_each_kind_of_token_has_its_own_price(home: Home) -> None:
    # Opus 4.5 per million: input 5, output 25, cache read 0.5, five-minute write 6.25, one-hour write 10; 1000 searches 10
    bill(home, "m1", (1_000_000, 200_000, 4_000_000, 100_000, 300_000, 7))
    money = _sums(home)[""].money
    assert money.usd == 5 + 5 + 2 + Decimal("0.625") + 3 + Decimal("0.07")
    assert money.quality == "exact" and money.text() == "$15.70"


def test_a_model_without_a_price_is_neither_free_nor_guessed(home: Home) -> None:
    bill(home, "m1", (1_000_000,))
    bill(home, "m2", (400, 100), model="claude-opus-99")
    bill(home, "m3", (7,), model=OPUS, speed="fast")  # fast mode of a model that has no such price
    found = _sums(home, "model")
    assert found["claude-opus-99"].money.text() == "unpriced: 500 tokens"
    whole = _sums(home)[""].money
    assert (whole.usd, whole.unpriced, whole.quality) == (Decimal(5), 507, "lower bound")
    assert whole.text() == "at least $5.00 + unpriced: 507 tokens"
    assert whole.document()["unpriced_models"] == ["claude-opus-4-5", "claude-opus-99"]


def test_fast_mode_has_its_own_price(home: Home) -> None:
    bill(home, "m1", (1_000_000,), model="claude-opus-5-5")
    bill(home, "m2", (1_000_000,), model="claude-opus-5-5", speed="fast")
    assert _sums(home)[""].money.usd == 4 + 8


def test_a_long_request_has_the_price_of_long_requests_and_others_do_not(home: Home) -> None:
    # Sonnet 4.5: input 3 up to 200,000 tokens in one request, then 6 for all of them
    bill(home, "m1", (200_000,), model=SONNET)
    bill(home, "m2", (200_001,), model=SONNET)
    assert _sums(home)[""].money.usd == Decimal("0.6") + Decimal("1.200006")


def test_a_price_holds_from_its_day_on(home: Home) -> None:
    book = Book(home)
    long = Tokens(input=1_000_000)
    assert book.price(long, "claude-opus-4-6", date(2026, 3, 12), 200_000).usd == 10
    assert book.price(long, "claude-opus-4-6", date(2026, 3, 13), 200_000).usd == 5


def test_a_cache_write_without_a_published_price_is_computed_and_called_estimated(home: Home) -> None:
    own = {"kind": "prices", "version": 1, "models": {"house-*": {"input": 4, "output": 8, "cache_read": 1}}}
    (home.root / "prices.json").write_text(json.dumps(own), encoding="utf-8")
    bill(home, "m1", (1_000_000, 0, 0), model="house-7")
    assert _sums(home)[""].money.text() == "$4.00"
    bill(home, "m2", (0, 0, 0, 1_000_000, 1_000_000), model="house-7")
    assert _sums(home)[""].money.text() == "about $17.00"  # 4 + 1.25 × 4 + 2 × 4


def test_own_prices_win_and_a_damaged_file_of_them_is_refused(home: Home) -> None:
    file = home.root / "prices.json"
    own = {"kind": "prices", "version": 1, "models": {OPUS: {"input": 1, "output": 2}}}
    file.write_text(json.dumps(own), encoding="utf-8")
    bill(home, "m1", (1_000_000, 1_000_000, 5))
    assert _sums(home)[""].money.text() == "at least $3.00 + unpriced: 5 tokens"
    file.write_text('{"kind": "prices"', encoding="utf-8")
    with pytest.raises(BadRecord):
        Book(home)


def test_of_own_prices_the_longest_name_that_fits_counts(home: Home) -> None:
    models = {name: {"input": usd, "output": 1} for name, usd in (("house-*", 1), ("house-big-*", 2), ("house-b*", 3))}
    own = {"kind": "prices", "version": 1, "models": models}
    (home.root / "prices.json").write_text(json.dumps(own), encoding="utf-8")
    book = Book(home)
    found = [
        book.price(Tokens(1_000_000), name, date(2026, 3, 12)).usd for name in ("house-big-7", "house-7", "house-b")
    ]
    assert found == [2, 1, 3] and book.price(Tokens(1), "home", date(2026, 3, 12)).unpriced == 1


def test_without_the_package_tokens_are_counted_and_money_is_said_to_be_unknown(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trinity.usage.catalogue._PACKAGE", "no_such_package")
    bill(home, "m1", (1000, 10))
    book = Book(home)
    assert "genai-prices is not installed" in book.missing
    assert _sums(home, book=book)[""].money.text() == "unpriced: 1,010 tokens"


def test_the_price_package_is_imported_once(home: Home) -> None:
    bill(home, "m1", (1_000_000,))
    bill(home, "m2", (7,), model="no-such-model")
    code = (
        "import sys\nfrom pathlib import Path\nfrom trinity import home\n"
        "from trinity.usage import catalogue, rows, sums, periods\nfrom trinity.usage.prices import Book\n"
        "catalogue.SHIPPED = Path('nowhere')\nstate = home.open_home()\n"
        "with rows.own(state, 'PC1') as source:\n"
        "    whole = sums.total(source, periods.Span(0, 2e9, 0, ''), Book(state))\n"
        "print(whole.money.usd, whole.money.unpriced, 'genai_prices' in sys.modules)\n"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["5 7 True", "5 7 False"]
    (home.root / "price_cache.json").write_text("damaged", encoding="utf-8")
    assert _sums(home)[""].money.usd == 5


def test_every_price_is_what_the_package_says(home: Home) -> None:
    import genai_prices
    from genai_prices import data_snapshot

    provider = next(one for one in data_snapshot.get_snapshot().providers if one.id == "anthropic")
    book = Book(home)
    tokens = Tokens(11, 1_300, 70_000, 5_000)
    compared = 0
    for model in provider.models:
        name = model.id
        for day in (date(2024, 6, 1), date(2026, 3, 12), date(2026, 11, 20)):
            for factor in (1, 2, 3):
                counts = [factor * count for count in tokens]
                usage = genai_prices.Usage(
                    input_tokens=sum(counts) - counts[1],
                    output_tokens=counts[1],
                    cache_read_tokens=counts[2],
                    cache_write_tokens=counts[3],
                )
                told = genai_prices.calc_price(
                    usage,
                    name,
                    provider_id="anthropic",
                    genai_request_timestamp=datetime(day.year, day.month, day.day, 12),
                )
                money = book.price(Tokens(*counts), name, day, band_of(sum(counts) - counts[1]))
                if money.quality == "exact":
                    assert money.usd == told.total_price, (name, day, factor)
                    compared += 1
    assert compared > 9 * 20


def test_the_shipped_catalogue_is_that_of_a_whole_package() -> None:
    shipped = catalogue._read(catalogue.SHIPPED)
    data = catalogue.data_file()
    assert data is not None and len(shipped["models"]) > 20
    if shipped["source"] == catalogue._digest(data):
        assert shipped["models"] == catalogue.build()


@pytest.mark.parametrize("by", [by for by in sums.BY if by != "quarter"])
def test_the_parts_are_the_whole(home: Home, by: str) -> None:
    for number in range(20):
        facts = {"model": (OPUS, SONNET)[number % 2], "project": f"/p/{number % 3}", "session": f"s{number % 5}"}
        bill(home, f"m{number}", (number, 2 * number), account=f"a{number % 2}", time=NOON + 60 * number, **facts)
    whole = _sums(home)[""]
    parts = _sums(home, by)
    assert whole.calls == 20 and whole.tokens.total == 570 == sum(part.tokens.total for part in parts.values())
    assert whole.money.usd == sum(part.money.usd for part in parts.values())


def test_a_span_that_cuts_a_quarter_of_an_hour_is_exact(home: Home) -> None:
    for second in (0, 59, 60, 61):
        bill(home, f"m{second}", (1,), time=NOON + second)
    with rows.own(home, "PC1") as source:
        found = sums.total(source, periods.Span(NOON + 1, NOON + 61, 0, ""), Book(home))
    assert found.tokens.input == 2


def test_days_begin_at_the_midnight_of_their_zone(home: Home) -> None:
    bill(home, "m1", (1,), time=NOON + 11 * 3600)  # 23:00 in UTC, the next day in Kathmandu (UTC+5:45)
    bill(home, "m2", (10,), time=NOON + 6 * 3600 + 14 * 60)  # 23:59 in Kathmandu
    span = periods.Span(NOON - 86400, NOON + 86400, 0, "")
    with rows.own(home, "PC1") as source:
        book = Book(home)
        named = {
            zone: {
                row["name"]: row["tokens"]["total"]
                for row in report.build(source, span, Zone(zone), book, {}, ["day"])["by"]["day"]
            }
            for zone in ("UTC", "Asia/Kathmandu")
        }
    assert named == {"UTC": {"2025-11-20": 11}, "Asia/Kathmandu": {"2025-11-20": 10, "2025-11-21": 1}}


@pytest.mark.parametrize("text", ["2026-11-20", "20261120", "2026-W47-5"])
def test_a_day_as_the_end_is_meant_with_that_day_however_it_is_written(text: str) -> None:
    zone = Zone("UTC")
    assert periods.between(zone, "2026-11-20", text).end == zone.start(date(2026, 11, 21))
    assert periods.between(zone, "2026-11-20", "2026-11-20T00:15").end == zone.start(date(2026, 11, 20)) + 900


def test_a_day_that_this_system_has_no_time_for_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> float:
        raise OSError("Invalid argument")  # as Windows says of a moment before 1970

    monkeypatch.setattr(Zone, "start", refused)
    with pytest.raises(UsageError):
        periods.days(Zone(), date(1960, 1, 1), date(1960, 1, 1))


def test_a_day_of_a_clock_change_has_25_hours(home: Home) -> None:
    zone = Zone("Europe/Berlin")
    span = periods.days(zone, date(2026, 10, 25), date(2026, 10, 25))
    assert span.end - span.start == 25 * 3600 and span.start - span.before == 24 * 3600
