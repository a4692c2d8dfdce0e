#!/usr/bin/env python3
"""Write train.tsv, valid.tsv and test.tsv: dates as people write them, and as ISO 8601.

    python3 datasets/dates/generate.py

The files land next to this one and are the same bytes on every run.
"""

import datetime
import pathlib
import random
from typing import NamedTuple

SEED = 8601
SIZES = {"train": 10_000, "valid": 1_000, "test": 1_000}

# One hundred years, so that two digits name exactly one year: 50..99 are
# 1950..1999 and 00..49 are 2000..2049.
FIRST_DAY = datetime.date(1950, 1, 1)
LAST_DAY = datetime.date(2049, 12, 31)

MONTHS = ("January February March April May June July August September "
          "October November December").split()
# "May" needs no abbreviation and "Sept." is the customary one for September.
SHORT_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
DOTTED_MONTHS = ("Jan. Feb. Mar. Apr. May Jun. Jul. Aug. Sept. "
                 "Oct. Nov. Dec.").split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
SHORT_WEEKDAYS = "Mon Tue Wed Thu Fri Sat Sun".split()

# Every form is a template over the fields of `fields` below. All-digit forms
# with the year last are day, month, year: never month first.
FORMS = {
    "day month year": "{day} {month} {year}",
    "day month year, lower case": "{day} {month_lower} {year}",
    "day month year, upper case": "{day} {month_upper} {year}",
    "day short-month year": "{day} {short_month} {year}",
    "day dotted-month year": "{day} {dotted_month} {year}",
    "month day, year": "{month} {day}, {year}",
    "month day year, lower case": "{month_lower} {day} {year}",
    "month day, year, upper case": "{month_upper} {day}, {year}",
    "short-month day, year": "{short_month} {day}, {year}",
    "dotted-month day, year": "{dotted_month} {day}, {year}",
    "month ordinal, year": "{month} {ordinal}, {year}",
    "ordinal month year": "{ordinal} {month} {year}",
    "ordinal of month year": "{ordinal} of {month} {year}",
    "the ordinal of month, year": "the {ordinal} of {month}, {year}",
    "weekday, day month year": "{weekday}, {day} {month} {year}",
    "weekday, month day, year": "{weekday}, {month} {day}, {year}",
    "short-weekday day short-month year":
        "{short_weekday} {day} {short_month} {year}",
    "short-weekday, short-month ordinal, year, lower case":
        "{short_weekday_lower}, {short_month_lower} {ordinal}, {year}",
    "year month day": "{year} {month} {day}",
    "year, short-month day": "{year}, {short_month} {day}",
    "year-short-month-day": "{year}-{short_month}-{day_padded}",
    "day-short-month-yy": "{day}-{short_month}-{year_short}",
    "day-short-month-yy, upper case":
        "{day_padded}-{short_month_upper}-{year_short}",
    "short-month day 'yy": "{short_month} {day} '{year_short}",
    "day month 'yy": "{day} {month} '{year_short}",
    "dd/mm/yyyy": "{day_padded}/{month_padded}/{year}",
    "d/m/yyyy": "{day}/{month_number}/{year}",
    "d.m.yyyy": "{day}.{month_number}.{year}",
    "dd-mm-yyyy": "{day_padded}-{month_padded}-{year}",
    "dd/mm/yy": "{day_padded}/{month_padded}/{year_short}",
    "dd.mm.yy": "{day_padded}.{month_padded}.{year_short}",
    "yyyy/mm/dd": "{year}/{month_padded}/{day_padded}",
    "yyyy.m.d": "{year}.{month_number}.{day}",
    "yyyymmdd": "{year}{month_padded}{day_padded}",
}


class Pair(NamedTuple):
    source: str
    target: str
    form: str


def ordinal(number):
    """1st, 2nd, 3rd, 4th, ... 11th, 12th, 13th, ... 31st."""
    if number in (11, 12, 13):
        return f"{number}th"
    return f"{number}" + {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def fields(date):
    """What a template may speak of, for one date."""
    month = date.month - 1
    weekday = date.weekday()
    return {
        "day": date.day,
        "day_padded": f"{date.day:02}",
        "ordinal": ordinal(date.day),
        "month": MONTHS[month],
        "month_lower": MONTHS[month].lower(),
        "month_upper": MONTHS[month].upper(),
        "month_number": date.month,
        "month_padded": f"{date.month:02}",
        "short_month": SHORT_MONTHS[month],
        "short_month_lower": SHORT_MONTHS[month].lower(),
        "short_month_upper": SHORT_MONTHS[month].upper(),
        "dotted_month": DOTTED_MONTHS[month],
        "year": date.year,
        "year_short": f"{date.year % 100:02}",
        "weekday": WEEKDAYS[weekday],
        "short_weekday": SHORT_WEEKDAYS[weekday],
        "short_weekday_lower": SHORT_WEEKDAYS[weekday].lower(),
    }


def write_date(date, form):
    return FORMS[form].format_map(fields(date))


def build():
    """The three parts, each a list of Pairs; no source occurs twice anywhere."""
    chance = random.Random(SEED)
    days = (LAST_DAY - FIRST_DAY).days + 1
    forms = list(FORMS)
    seen = set()
    parts = {}
    for name, size in SIZES.items():
        part = []
        while len(part) < size:
            date = FIRST_DAY + datetime.timedelta(chance.randrange(days))
            # The forms take turns, so each part holds them in equal shares.
            form = forms[len(part) % len(forms)]
            source = write_date(date, form)
            if source not in seen:
                seen.add(source)
                part.append(Pair(source, date.isoformat(), form))
        chance.shuffle(part)
        parts[name] = part
    return parts


def render(part):
    return "".join(f"{pair.source}\t{pair.target}\n" for pair in part).encode()


def main():
    folder = pathlib.Path(__file__).resolve().parent
    for name, part in build().items():
        (folder / f"{name}.tsv").write_bytes(render(part))
        print(f"{name}.tsv: {len(part)} pairs")


if __name__ == "__main__":
    main()
