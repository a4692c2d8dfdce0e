#!/usr/bin/env python3
"""Check what the READMEs of the shipped datasets claim.

    python3 datasets/check.py

One line a property; the exit status is 1 if one of them does not hold.
"""

import collections
import datetime
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unicodedata

FOLDER = pathlib.Path(__file__).resolve().parent
PARTS = ("train", "valid", "test")
DATE_SIZES = {"train": 10_000, "valid": 1_000, "test": 1_000}
TRANSLATION_SIZES = {"train": 14_000, "valid": 500, "test": 1_000}
FEWEST_OCCURRENCES = 15
FEWEST_FRENCH_FORMS = 300
FEWEST_DATE_FORMS = 20
LONGEST_DATE = 30

results = []


def check(name, offenders):
    """Report one property: it holds when nothing offends against it."""
    offenders = list(offenders)
    results.append(not offenders)
    print(f"{'FAILED' if offenders else 'passed'}  {name}")
    for offender in offenders[:3]:
        print(f"        {offender!r}")


def unless(holds, offender):
    return [] if holds else [offender]


def load_generator(name):
    specification = importlib.util.spec_from_file_location(
        f"generate_{name.replace('-', '_')}", FOLDER / name / "generate.py")
    module = importlib.util.module_from_spec(specification)
    sys.dont_write_bytecode = True      # the check leaves the folders as they are
    specification.loader.exec_module(module)
    return module


def read_pairs(content):
    return [tuple(line.split("\t")) for line in content.decode().split("\n")[:-1]]


def check_files(name, contents, sizes):
    """The properties the two sets share: format, counts, disjointness."""
    pairs = {}
    for part, content in contents.items():
        label = f"{name}/{part}.tsv"
        text = content.decode("utf-8", errors="replace")
        check(f"{label} is UTF-8 in normal form C",
              [line for line in text.split("\n")
               if "\ufffd" in line or unicodedata.normalize("NFC", line) != line])
        check(f"{label} has LF line ends and source<TAB>target on every line",
              [line for line in text.split("\n")[:-1]
               if not re.fullmatch(r"[^\t\r]+\t[^\t\r]+", line)]
              + unless(text.endswith("\n"), "no newline at the end"))
        check(f"{label} has no space too many",
              [line for line in text.split("\n")
               if re.search(r"^ |  | \t|\t | $", line)])
        pairs[part] = read_pairs(content)
        check(f"{label} has {sizes[part]} pairs",
              unless(len(pairs[part]) == sizes[part], len(pairs[part])))
    occurrences = collections.Counter(
        pair[0] for part in pairs.values() for pair in part)
    check(f"{name}: no source occurs twice, within a part or across parts",
          [source for source, count in occurrences.items() if count > 1])
    return pairs


def check_regeneration(name, contents):
    """Run a copy elsewhere, so that a failure spoils nothing that is shipped."""
    for hash_seed in ("1", "2"):
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "generate.py"
            copy.write_bytes((FOLDER / name / "generate.py").read_bytes())
            subprocess.run([sys.executable, str(copy)], check=True, cwd="/",
                           stdout=subprocess.DEVNULL,
                           env={**os.environ, "PYTHONHASHSEED": hash_seed})
            check(f"{name}: generate.py writes the same bytes (hash seed {hash_seed})",
                  [part for part in PARTS
                   if (pathlib.Path(folder) / f"{part}.tsv").read_bytes()
                   != contents[part]])


def read_contents(name):
    return {part: (FOLDER / name / f"{part}.tsv").read_bytes() for part in PARTS}


# ---------------------------------------------------------------- dates

MONTH_STARTS = ("jan", "feb", "mar", "apr", "may", "jun",
                "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAY_STARTS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def read_date(source):
    """Read a date as the README says to, knowing nothing of the generator.

    Returns the date, and the number of the weekday if the source names one.
    """
    weekday = month = None
    year_first = bool(re.match(r"\d{4}", source))
    for word in re.findall(r"[a-z]+", source.lower()):
        if word[:3] in MONTH_STARTS:
            month = MONTH_STARTS.index(word[:3]) + 1
        elif word[:3] in WEEKDAY_STARTS:
            weekday = WEEKDAY_STARTS.index(word[:3])
        elif word not in ("the", "of", "st", "nd", "rd", "th"):
            raise ValueError(f"unknown word {word}")
    if re.fullmatch(r"\d{8}", source):
        numbers = [source[:4], source[4:6], source[6:]]
    else:
        numbers = re.findall(r"\d+", source)
    if year_first:
        numbers.append(numbers.pop(0))
        if month is None:
            numbers[0], numbers[1] = numbers[1], numbers[0]
    if month is None:
        month = int(numbers.pop(1))
    day, year = numbers
    year = int(year) if len(year) == 4 else int(year) + (1900 if int(year) >= 50 else 2000)
    return datetime.date(year, month, int(day)), weekday


def check_dates():
    name = "dates"
    contents = read_contents(name)
    generator = load_generator(name)
    pairs = check_files(name, contents, DATE_SIZES)
    everything = [pair for part in PARTS for pair in pairs[part]]

    dates = {}
    broken = []
    for source, target in everything:
        try:
            dates[source] = datetime.date.fromisoformat(target)
        except ValueError:
            broken.append((source, target))
    check("dates: every target is a date, as YYYY-MM-DD",
          broken + [pair for pair in everything
                    if not re.fullmatch(r"\d{4}-\d\d-\d\d", pair[1])])
    check("dates: every year is in 1950..2049",
          [source for source, date in dates.items() if not 1950 <= date.year <= 2049])
    readings = {source: read_date(source) for source in dates}
    check("dates: every source, read day/month/year, gives its target",
          [source for source, (date, weekday) in readings.items()
           if date != dates[source]])
    weekdays = [(source, weekday) for source, (date, weekday) in readings.items()
                if weekday is not None]
    check("dates: every weekday named is the right one",
          [source for source, weekday in weekdays
           if weekday != dates[source].weekday()]
          + unless(weekdays, "no weekday anywhere"))
    check(f"dates: no source is longer than {LONGEST_DATE} characters",
          [source for source in dates if len(source) > LONGEST_DATE])
    check("dates: every character of valid and test occurs in train",
          set("".join(map("".join, pairs["valid"] + pairs["test"])))
          - set("".join(map("".join, pairs["train"]))))

    built = generator.build()
    check("dates: the generator's records are the files",
          [part for part in PARTS
           if [(pair.source, pair.target) for pair in built[part]] != pairs[part]])
    forms = {part: {pair.form for pair in built[part]} for part in PARTS}
    check(f"dates: {len(generator.FORMS)} forms, all of them in every part",
          [part for part in PARTS if forms[part] != set(generator.FORMS)]
          + unless(len(generator.FORMS) >= FEWEST_DATE_FORMS, len(generator.FORMS)))
    check_regeneration(name, contents)


# ---------------------------------------------------------------- english-french

ELIDED = re.compile(r"(?:[ljmtnd]|qu)'")
VOWEL = re.compile(r"[aeiouyâàéèêîôœh]")
SINGULAR_POSSESSIVES = ("mon", "ton", "son", "notre", "leur")


def check_elision(generator, targets):
    """l', cet, mon and bel before a vowel or an h muet; le, ce, ma, beau elsewhere."""
    for target in targets:
        tokens = target.split()
        for before, token, following in zip(["", *tokens], tokens, tokens[1:]):
            vowel = bool(VOWEL.match(following)) and following not in generator.ASPIRATED
            if ELIDED.fullmatch(token) or token in ("cet", "bel", "nouvel", "vieil"):
                if not vowel:
                    yield target
            elif vowel:
                # Of the adjectives, those before a verb or a preposition stay.
                attribute = token in ("beau", "nouveau", "vieux") \
                    and before in ("le", "un", "ce", *SINGULAR_POSSESSIVES)
                if attribute or token in ("ce", "ma", "ta", "sa") \
                        or token in generator.ELIDING:
                    yield target


def check_translations():
    name = "english-french"
    contents = read_contents(name)
    generator = load_generator(name)
    pairs = check_files(name, contents, TRANSLATION_SIZES)
    everything = [pair for part in PARTS for pair in pairs[part]]

    targets = collections.defaultdict(set)
    for source, target in everything:
        targets[source].add(target)
    check("english-french: the target is a function of the source",
          [source for source, several in targets.items() if len(several) > 1])
    check("english-french: lower case throughout, and a sentence mark at the end",
          [pair for pair in everything
           if "".join(pair) != "".join(pair).lower()
           or not all(re.search(r" [.?]$", sentence) for sentence in pair)])
    check("english-french: elision wherever due and nowhere else",
          check_elision(generator, [target for source, target in everything]))

    built = generator.build()
    check("english-french: the generator's records are the files",
          [part for part in PARTS
           if [(pair.source, pair.target) for pair in built[part]] != pairs[part]])

    for language, column in (("English", 0), ("French", 1)):
        counts = collections.Counter(
            word for pair in pairs["train"] for word in pair[column].split())
        check(f"english-french: all {len(counts)} {language} word forms occur at least "
              f"{FEWEST_OCCURRENCES} times in train",
              [(word, count) for word, count in counts.items()
               if count < FEWEST_OCCURRENCES])
        check(f"english-french: every {language} word form of valid and test is in train",
              {word for part in ("valid", "test") for pair in pairs[part]
               for word in pair[column].split()} - set(counts))
        if language == "French":
            words = {word for word in counts if word[0].isalpha()}
            check(f"english-french: at least {FEWEST_FRENCH_FORMS} French word forms "
                  f"(there are {len(words)})",
                  unless(len(words) >= FEWEST_FRENCH_FORMS, len(words)))

    patterns = {part: {pair.pattern for pair in built[part]} for part in PARTS}
    check(f"english-french: every pattern of valid and test is one of the "
          f"{len(patterns['train'])} in train",
          (patterns["valid"] | patterns["test"]) - patterns["train"])
    combinations = {part: {pair.lemmas for pair in built[part]} for part in PARTS}
    for held_out, others in (("test", ("train", "valid")), ("valid", ("train",))):
        for other in others:
            check(f"english-french: none of the {len(combinations[held_out])} combinations "
                  f"of content words of {held_out} is in {other}",
                  combinations[held_out] & combinations[other])
    lemmas = set(generator.NOUNS) | set(generator.VERBS) | set(generator.ADJECTIVES)
    check("english-french: a combination is made of two or more words of the lexicon "
          "outside train",
          [lemma for part in PARTS for combination in combinations[part]
           for lemma in combination if lemma not in lemmas]
          + [combination for part in ("valid", "test")
             for combination in combinations[part] if len(combination) < 2])
    check("english-french: no held-out pair has a verb or an adjective that goes with "
          f"fewer than {generator.NARROW} nouns",
          [combination for part in ("valid", "test") for combination in combinations[part]
           if len(combination) == 2 and any(map(generator.is_narrow, combination))])
    check("english-french: every content word of the lexicon occurs in train",
          lemmas - {"be"} - {lemma for combination in combinations["train"]
                             for lemma in combination})
    check("english-french: each pattern's sample sentence is in its documentation",
          [pattern.__name__ for pattern in generator.PATTERNS
           if not re.fullmatch(r".+ [.?] / .+ [.?]", pattern.__doc__ or "")])
    check_regeneration(name, contents)


def main():
    check_dates()
    check_translations()
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
