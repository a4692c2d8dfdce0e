#!/usr/bin/env python3
"""Makes metrics.txt, the golden file of test_metrics_bleu.c and test_metrics_chrf.c: random texts and corpora, scored
by the published definitions with regular expressions and counters, in Python's own strings.

    python3 tests/golden/make_metrics.py

A line begins with what it is; control characters, white space but the space, and backslashes stand as \\xHH of
their UTF-8 bytes.

    t TEXT        a text, and on the next line
    k TOKENS      its tokens by 13a, each followed by a space
    l TEXT        a text, and on the next line
    m TEXT        in lower case
    h TEXT        a hypothesis; the lines
    r TEXT        after it are its references. A blank line ends a corpus. Scores of the corpus:
    b TOKENIZER SMOOTHING VALUE LOWERCASE EFFECTIVE ORDER = SCORE PENALTY LENGTH LENGTH C_1 T_1 P_1 C_2 ...
    c LOWERCASE CHARACTERS WORDS BETA = SCORE
"""
import collections
import math
import pathlib
import random
import re
import string

SPACES = [" ", "  ", "\t", "\u00a0", "\u2009", "\u3000", "\u2028", "\x1c", "\x85", "\u200b", "\r", "\n"]
TOKENIZERS, SMOOTHINGS = ["13a", "none"], ["exp", "none", "floor", "add-k"]


# ---- the definitions ----

def tokens_13a(line):
    """mteval-v13a.pl as sacreBLEU has it."""
    line = line.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, symbol in [("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")]:
        line = line.replace(entity, symbol)
    line = f" {line} "
    for pattern, replacement in [(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])", r" \1 "), (r"([^0-9])([\.,])", r"\1 \2 "),
                                 (r"([\.,])([^0-9])", r" \1 \2"), (r"([0-9])(-)", r"\1 \2 ")]:
        line = re.sub(pattern, replacement, line)
    return line.split()


def grams(symbols, order):
    return collections.Counter(tuple(symbols[i:i + order]) for i in range(len(symbols) - order + 1))


def bleu(corpus, tokenizer, smoothing, value, lowercase, effective, orders):
    """Papineni et al. 2002; smoothing as in Chen and Cherry 2014."""
    cut = tokens_13a if tokenizer == "13a" else str.split
    tokens = [[cut(text.lower() if lowercase else text) for text in sentence] for sentence in corpus]
    matches, totals, c, r = [0] * orders, [0] * orders, 0, 0
    for hypothesis, *references in tokens:
        c += len(hypothesis)
        r += min((abs(len(hypothesis) - len(reference)), len(reference)) for reference in references)[1]
        for n in range(orders):
            most = collections.Counter()
            for reference in references:
                most |= grams(reference, n + 1)
            have = grams(hypothesis, n + 1)
            matches[n] += sum((have & most).values())
            totals[n] += sum(have.values())
    penalty = 1 if c >= r else math.exp(1 - r / c) if c else 0
    precisions, zeros, over = [0.0] * orders, 0, 0
    score = 0.0
    if any(matches):
        value = value or {"floor": 0.1, "add-k": 1}.get(smoothing)
        for n in range(orders):
            added = value if smoothing == "add-k" and n else 0
            if totals[n] + added == 0:
                break
            over = n + 1
            if matches[n] + added:
                precisions[n] = 100 * (matches[n] + added) / (totals[n] + added)
            elif smoothing == "exp":
                zeros += 1
                precisions[n] = 100 / (2 ** zeros * totals[n])
            elif smoothing == "floor":
                precisions[n] = 100 * value / totals[n]
        used = precisions[:over] if effective else precisions
        if all(used):
            score = penalty * math.exp(sum(map(math.log, used)) / len(used))
    return score, penalty, c, r, list(zip(matches, totals, precisions))


def words_apart(text):
    """chrF++'s words: one ASCII punctuation mark is cut off a word's end, or else off its beginning."""
    words = []
    for word in text.split():
        if len(word) > 1 and word[-1] in string.punctuation:
            words += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in string.punctuation:
            words += [word[0], word[1:]]
        else:
            words.append(word)
    return words


def f_score(counts, beta):
    both = [(common / have, common / want) for have, want, common in counts if have and want]
    if not both:
        return 0.0
    precision, recall = (sum(side) / len(both) for side in zip(*both))
    if precision + recall == 0:
        return 0.0
    return 100 * ((1 + beta ** 2) * precision * recall / (beta ** 2 * precision + recall))


def chrf(corpus, lowercase, characters, words, beta):
    """Popovic 2015, 2017."""
    total = [(0, 0, 0)] * (characters + words)
    for sentence in corpus:
        texts = [text.lower() if lowercase else text for text in sentence]
        kinds = [[grams("".join(t.split()), n + 1) for n in range(characters)] +
                 [grams(words_apart(t), n + 1) for n in range(words)] for t in texts]
        best, highest = None, -1
        for reference in kinds[1:]:
            counts = [(sum(have.values()) if want else 0, sum(want.values()), sum((have & want).values()))
                      for have, want in zip(kinds[0], reference)]
            if f_score(counts, beta) > highest:
                best, highest = counts, f_score(counts, beta)
        total = [tuple(map(sum, zip(*pair))) for pair in zip(total, best)]
    return f_score(total, beta)


# ---- texts ----

WORDS = ("the The cat sat on a mat it's John's e.g. U.S.A. 3,000.50 1990-2000 5. .5 -5 5- ... wait... a/b_c~d (hi) \"so\" "
         "&amp; &amp;lt; &lt;b&gt; &quot; <skipped> self-driving naïve café—dash …“x” ΣΟΦΟΣ ΣΑΣ. Σ İstanbul Straße ÉTÉ "
         "日本語 中文。 ça 👍🏽 e\u0301 x\u200dy ½ ²5, 7,a a,7 1.2.3 ,, .,. -- 1--2 $5 50% [x] {y} | ^ ` # * + = @ ? ! : ;").split()
ALPHABET = "aA1 .,-&;<>'’\"/Σσİ\u0301·:é中\u00a0\u2003\t\n"


def escaped(text):
    return "".join("".join(f"\\x{byte:02x}" for byte in c.encode()) if c == "\\" or (c != " " and not c.isprintable())
                   else c for c in text)


def sentence(chance):
    words = chance.choices(WORDS, k=chance.choice([0, 1, 2, 3, 5, 8, 12]))
    return "".join(word + (chance.choice(SPACES) if chance.random() < 0.2 else " ") for word in words)


def nonsense(chance):
    return "".join(chance.choices(ALPHABET, k=chance.randrange(14)))


def changed(chance, text):
    """A reference: the text with some words left out, changed, or in other places."""
    words = text.split(" ")
    for _ in range(chance.randrange(4)):
        i = chance.randrange(len(words))
        words[i] = chance.choice(["", chance.choice(WORDS), words[i].upper(), words[i - 1], words[i] + " " + words[i]])
    return " ".join(words)


def random_corpus(chance):
    corpus = []
    for _ in range(chance.choice([1, 1, 2, 3])):
        truth = sentence(chance)
        corpus.append([changed(chance, truth) for _ in range(1 + chance.choice([1, 1, 2, 3]))])
    if chance.random() < 0.1:
        corpus[0][0] = ""
    return corpus


def write_corpus(out, chance, corpus):
    for hypothesis, *references in corpus:
        out.append(f"h {escaped(hypothesis)}")
        out += [f"r {escaped(reference)}" for reference in references]
    settings = [("13a", "exp", 0, 0, 0, 4)]
    settings += [(chance.choice(TOKENIZERS), chance.choice(SMOOTHINGS), chance.choice([0, 0, 0.5, 2]), chance.randrange(2),
                  chance.randrange(2), chance.choice([1, 2, 3, 4, 4, 5, 6, 8])) for _ in range(2)]
    for s in settings:
        score, penalty, c, r, orders = bleu(corpus, *s)
        out.append(f"b {' '.join(map(str, s))} = {score!r} {penalty!r} {c} {r} " +
                   " ".join(f"{C} {T} {P:.12g}" for C, T, P in orders))
    for s in [(0, 6, 0, 2), (chance.randrange(2), chance.choice([1, 4, 6, 8]), chance.choice([0, 1, 2]),
                             chance.choice([1, 2, 3]))]:
        out.append(f"c {' '.join(map(str, s))} = {chrf(corpus, *s)!r}")
    out.append("")


def main():
    chance = random.Random(20020707)
    out = []
    for k in range(300):
        text = nonsense(chance) if k % 2 else sentence(chance)
        out += [f"t {escaped(text)}", f"k {escaped(''.join(token + ' ' for token in tokens_13a(text)))}"]
    for _ in range(100):
        text = nonsense(chance)
        out += [f"l {escaped(text)}", f"m {escaped(text.lower())}"]
    for _ in range(200):
        write_corpus(out, chance, random_corpus(chance))
    path = pathlib.Path(__file__).with_name("metrics.txt")
    path.write_text("\n".join(out) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
