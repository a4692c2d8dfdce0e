#!/usr/bin/env python3
"""Makes tests/golden/bpe.txt: byte-pair codes as subword-nmt learns and applies them, by counting everything
anew before each merge.

    tests/golden/make_bpe.py

A line is a tag and what it says: `text` to learn from; `0.2`, a code, in order; `cut.2`, a text cut by them;
`0.1` and `cut.1`: the same where the end of a word is a symbol of its own. A cut text, with "@@ " taken out, is the
text. Tokens have one space between, and none is one that tidegate would cut further; but for `text.s`, `0.s` and `cut.s`,
which are of version 0.2 for words that are what spaces separate, whatever they hold.
"""
import collections
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent.parent / "datasets/english-french"
MERGES = 300
ODD = ["a aa aaa aaaa aaaaa aaaaaa", "abab ababab abababa bababab", "é éé ééé été étés répété élève élèves", "l' d' qu' 's n't",
       "漢字 漢字漢字 字漢 かな", "3,000.50 3,000 3.50 1990-1995", "... -- &apos;s &quot; @-@ <unk>", "naïve naïveté œuvre œuvres",
       "zzz zzy zyz yzz zzzz yzyz zyzy", "well-known known unknown unknowns knownness"]


TOKENIZED = ["the dogs&apos; owner , who shouldn &apos;t&apos;ve come , left pp. 1. and 2. to .NET .", "hors-d'œuvre , y'all .",
             "他说，这是 一个句子 。", "don't do\u00a0that , mr.smith(jr) !", "10\u202f000 €/kg , a@b.c x@y.z ,", "«non» , \"yes\" ."]


def begin(word, old):
    return list(word) + ["</w>"] if old else list(word[:-1]) + [word[-1] + "</w>"]


def merged(symbols, pair):
    out, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i:i + 2]) == pair:
            out.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


def learn(lines, old, merges=MERGES, min_frequency=2):
    # what spells a special token is none of the words
    words = collections.Counter(word for line in lines for word in line.split(" ") if word != "<unk>")
    cut = {word: begin(word, old) for word in words}
    codes = []
    while len(codes) < merges:
        count = collections.Counter()
        for word, symbols in cut.items():
            for pair in zip(symbols, symbols[1:]):
                count[pair] += words[word]
        best = max(count, key=lambda pair: (count[pair], pair))
        if count[best] < min_frequency:
            break
        codes.append(best)
        cut = {word: merged(symbols, best) for word, symbols in cut.items()}
    return codes


def apply(word, codes, old):
    if word == "<unk>":
        return word
    symbols = begin(word, old)
    while True:
        there = [codes.index(pair) for pair in zip(symbols, symbols[1:]) if pair in codes]
        if not there:
            break
        symbols = merged(symbols, codes[min(there)])
    pieces = [symbol.removesuffix("</w>") for symbol in symbols]
    return "@@ ".join(piece for piece in pieces if piece)


def side(name, n):
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()[:n]
    return [text for line in lines for text in line.split("\t")]


def main():
    text = side("train.tsv", 60) + ODD
    new = side("test.tsv", 25) + ODD + ["unseen résumés ✓ 漢 zyzzyva x"]
    with open(HERE / "bpe.txt", "w", encoding="utf-8") as out:
        for line in text:
            print("text", line, file=out)
        for version, old in [("2", False), ("1", True)]:
            codes = learn(text, old)
            for pair in codes:
                print("0." + version, *pair, file=out)
            for line in new:
                print("cut." + version, " ".join(apply(word, codes, old) for word in line.split(" ")), file=out)
        tokenized = side("train.tsv", 40) + TOKENIZED
        codes = learn(tokenized * 2, False)
        for tag, lines in [("text.s", tokenized * 2), ("0.s", map(" ".join, codes)),
                           ("cut.s", (" ".join(apply(word, codes, False) for word in line.split(" ")) for line in tokenized + new))]:
            for line in lines:
                print(tag, line, file=out)


main()
