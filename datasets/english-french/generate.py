#!/usr/bin/env python3
"""Write train.tsv, valid.tsv and test.tsv: English sentences and their French.

    python3 datasets/english-french/generate.py

A small grammar of both languages composes every pair from the same lexicon.
The files land next to this one and are the same bytes on every run.
"""

import collections
import functools
import pathlib
import random
from typing import NamedTuple, Optional

SEED = 1789
SIZES = {"train": 14_000, "valid": 500, "test": 1_000}

# Every word form, English or French, is met at least this often in train.
RAREST = 20

# The shares of the combinations of content words that are held out: of two words,
# and of more. There are few pairs, and each makes many sentences.
PAIR_SHARES = {"valid": 0.025, "test": 0.05}
SHARES = {"valid": 0.05, "test": 0.10}

# A verb or an adjective that goes with fewer nouns than this is narrow, and the
# pairs it makes stay in train: without {write, book}, two things are left to write.
NARROW = 12


# ---------------------------------------------------------------- lexicon

class Noun(NamedTuple):
    english: str
    english_plural: Optional[str]   # None: a mass noun, without plural
    french: str
    french_plural: Optional[str]
    gender: str                     # "m" or "f"


class Adjective(NamedTuple):
    english: str
    masculine: str
    feminine: str
    masculine_plural: str
    feminine_plural: str
    before_vowel: Optional[str]     # bel, nouvel, vieil
    precedes: bool                  # stands before its noun in French


class Verb(NamedTuple):
    english: str
    third: str                      # he eats
    past: str
    progressive: str                # eating
    particle: Optional[str]         # the "for" of "look for"
    infinitive: str
    present: tuple                  # je, tu, il, nous, ils
    future: tuple
    imperfect: Optional[tuple]      # set where the past is the imparfait
    participle: str
    auxiliary: str                  # "avoir" or "être"


def rows(table):
    return [line.split() for line in table.strip().splitlines()]


def read_nouns(table):
    return {row[0]: Noun(row[0], *(None if word == "-" else word for word in row[1:]))
            for row in rows(table)}


PEOPLE = read_nouns("""
    man       men        homme    hommes    m
    woman     women      femme    femmes    f
    boy       boys       garçon   garçons   m
    girl      girls      fille    filles    f
    child     children   enfant   enfants   m
    actress   actresses  actrice  actrices  f
    hero      heroes     héros    héros     m
    brother   brothers   frère    frères    m
    sister    sisters    sœur     sœurs     f
""")
ANIMALS = read_nouns("""
    cat       cats       chat     chats     m
    dog       dogs       chien    chiens    m
    horse     horses     cheval   chevaux   m
    bird      birds      oiseau   oiseaux   m
    owl       owls       hibou    hiboux    m
    cow       cows       vache    vaches    f
""")
FOOD = read_nouns("""
    apple     apples     pomme    pommes    f
    egg       eggs       œuf      œufs      m
    cake      cakes      gâteau   gâteaux   m
    bean      beans      haricot  haricots  m
""")
MASS_FOOD = read_nouns("""
    bread     -          pain     -         m
    meat      -          viande   -         f
""")
DRINKS = read_nouns("""
    water     -          eau      -         f
    milk      -          lait     -         m
    tea       -          thé      -         m
    coffee    -          café     -         m
""")
THINGS = read_nouns("""
    book      books      livre    livres    m
    letter    letters    lettre   lettres   f
    story     stories    histoire histoires f
    key       keys       clé      clés      f
    hat       hats       chapeau  chapeaux  m
    dress     dresses    robe     robes     f
    car       cars       voiture  voitures  f
    axe       axes       hache    haches    f
""")
PLACES = read_nouns("""
    house     houses     maison   maisons   f
    garden    gardens    jardin   jardins   m
    market    markets    marché   marchés   m
    station   stations   gare     gares     f
    hotel     hotels     hôtel    hôtels    m
    school    schools    école    écoles    f
""")
NOUNS = {**PEOPLE, **ANIMALS, **FOOD, **MASS_FOOD, **DRINKS, **THINGS, **PLACES}

KIN = ("brother", "sister")

# An h aspiré lets nothing elide: le héros, but l' homme.
ASPIRATED = {"héros", "hibou", "hiboux", "haricot", "haricots", "hache", "haches"}


def read_adjectives(table, precedes):
    adjectives = {}
    for english, *forms in rows(table):
        before_vowel = forms[4] if len(forms) == 5 else None
        adjectives[english] = Adjective(english, *forms[:4], before_vowel, precedes)
    return adjectives


ADJECTIVES = {
    **read_adjectives("""
        little     petit    petite    petits    petites
        large      grand    grande    grands    grandes
        young      jeune    jeune     jeunes    jeunes
        good       bon      bonne     bons      bonnes
        beautiful  beau     belle     beaux     belles     bel
        new        nouveau  nouvelle  nouveaux  nouvelles  nouvel
        old        vieux    vieille   vieux     vieilles   vieil
    """, precedes=True),
    **read_adjectives("""
        black      noir     noire     noirs     noires
        white      blanc    blanche   blancs    blanches
        red        rouge    rouge     rouges    rouges
        expensive  cher     chère     chers     chères
        happy      heureux  heureuse  heureux   heureuses
        sad        triste   triste    tristes   tristes
        tired      fatigué  fatiguée  fatigués  fatiguées
    """, precedes=False),
}

# What each adjective is said of. The gaps are deliberate: "vieille fille",
# "belle sœur", "petit enfant" or "grande école" mean something else in French.
DESCRIBES = {
    english: tuple(nouns.split()) for english, nouns in {
        "little": "woman boy girl brother sister cat dog horse bird owl cow apple egg cake "
                  "bean book key hat dress car axe house garden market station hotel school",
        "large": "hat car axe house garden market station hotel",
        "young": "man woman actress hero cat dog horse bird cow",
        "good": "apple egg cake bean bread meat milk tea coffee book story dog horse hotel school",
        "beautiful": "woman girl child actress cat dog horse bird owl cow cake letter "
                     "story hat dress car house garden hotel school",
        "new": "actress book key hat dress car axe house garden station hotel school",
        "old": "man woman actress hero cat dog horse bird owl cow book letter story key "
               "hat dress car axe house garden market station hotel school",
        "black": "cat dog horse bird cow hat dress car",
        "white": "cat dog horse bird owl cow hat dress car house",
        "red": "bird apple book hat dress car house",
        "expensive": "horse cake bread meat tea book hat dress car hotel house",
        "happy": " ".join(PEOPLE) + " dog",
        "sad": " ".join(PEOPLE) + " dog story",
        "tired": " ".join(PEOPLE) + " dog horse",
    }.items()
}
# Said before the noun alone: neither "petit" nor "nouveau" makes a natural
# predicate where English says "little" or "new".
ATTRIBUTE_ONLY = ("little", "new")

FUTURE_ENDINGS = ("ai", "as", "a", "ons", "ont")
IMPERFECT_ENDINGS = ("ais", "ais", "ait", "ions", "aient")


def read_verbs(table):
    verbs = {}
    for row in rows(table):
        english, third, past, progressive, particle, infinitive = row[:6]
        future_stem, imperfect_stem, participle, auxiliary = row[11:]
        verbs[english] = Verb(
            english, third, past, progressive,
            None if particle == "-" else particle,
            infinitive, tuple(row[6:11]),
            tuple(future_stem + ending for ending in FUTURE_ENDINGS),
            None if imperfect_stem == "-" else
            tuple(imperfect_stem + ending for ending in IMPERFECT_ENDINGS),
            participle, auxiliary)
    return verbs


# A state goes to the imparfait in the past, an event to the passé composé.
VERBS = read_verbs("""
 eat    eats    ate     eating   -   manger     mange     manges     mange     mangeons    mangent     manger     -   mangé     avoir
 drink  drinks  drank   drinking -   boire      bois      bois       boit      buvons      boivent     boir       -   bu        avoir
 see    sees    saw     seeing   -   voir       vois      vois       voit      voyons      voient      verr       -   vu        avoir
 write  writes  wrote   writing  -   écrire     écris     écris      écrit     écrivons    écrivent    écrir      -   écrit     avoir
 buy    buys    bought  buying   -   acheter    achète    achètes    achète    achetons    achètent    achèter    -   acheté    avoir
 find   finds   found   finding  -   trouver    trouve    trouves    trouve    trouvons    trouvent    trouver    -   trouvé    avoir
 lose   loses   lost    losing   -   perdre     perds     perds      perd      perdons     perdent     perdr      -   perdu     avoir
 look   looks   looked  looking  for chercher   cherche   cherches   cherche   cherchons   cherchent   chercher   -   cherché   avoir
 love   loves   loved   loving   -   aimer      aime      aimes      aime      aimons      aiment      aimer      aim aimé      avoir
 have   has     had     having   -   avoir      ai        as         a         avons       ont         aur        av  eu        avoir
 speak  speaks  spoke   speaking -   parler     parle     parles     parle     parlons     parlent     parler     -   parlé     avoir
 sleep  sleeps  slept   sleeping -   dormir     dors      dors       dort      dormons     dorment     dormir     -   dormi     avoir
 sing   sings   sang    singing  -   chanter    chante    chantes    chante    chantons    chantent    chanter    -   chanté    avoir
 work   works   worked  working  -   travailler travaille travailles travaille travaillons travaillent travailler -   travaillé avoir
 arrive arrives arrived arriving -   arriver    arrive    arrives    arrive    arrivons    arrivent    arriver    -   arrivé    être
 go     goes    went    going    -   aller      vais      vas        va        allons      vont        ir         -   allé      être
 be     is      was     being    -   être       suis      es         est       sommes      sont        ser        ét  été       avoir
""")
BE_PRESENT = ("am", "are", "is", "are", "are")
BE_PAST = ("was", "were", "was", "were", "were")

# Helpers in front of an infinitive, in the present: je, tu, il, nous, ils.
MODALS = {
    "want": ("veux", "veux", "veut", "voulons", "veulent"),
    "can": ("peux", "peux", "peut", "pouvons", "peuvent"),
    "must": ("dois", "dois", "doit", "devons", "doivent"),
    "going": VERBS["go"].present,
}

PEOPLE_WORDS = tuple(PEOPLE)
ANIMAL_WORDS = tuple(ANIMALS)
# Who does it. The cat and the dog see, find, love and look for things too.
SUBJECTS = {
    **{verb: PEOPLE_WORDS for verb in VERBS},
    "eat": PEOPLE_WORDS + ("dog", "bird"),
    "drink": PEOPLE_WORDS + ANIMAL_WORDS,
    "sleep": PEOPLE_WORDS + ANIMAL_WORDS,
    "sing": PEOPLE_WORDS + ("bird",),
    "see": PEOPLE_WORDS + ("cat", "dog"),
    "look": PEOPLE_WORDS + ("cat", "dog"),
}
# To whom it is done.
OBJECTS = {
    "eat": tuple(FOOD) + tuple(MASS_FOOD),
    "drink": tuple(DRINKS),
    "see": PEOPLE_WORDS + ANIMAL_WORDS + tuple(THINGS) + tuple(PLACES),
    "write": ("book", "letter", "story"),
    "buy": tuple(FOOD) + tuple(MASS_FOOD) + ("milk", "tea", "coffee", "horse", "cow", "dog",
           "book", "hat", "dress", "car", "axe", "house"),
    "find": ("child", "boy", "girl", "cat", "dog", "egg", "key", "book", "letter", "hat",
             "axe", "hotel", "station"),
    "lose": ("cat", "dog", "key", "book", "letter", "hat", "dress", "axe"),
    "look": ("child", "boy", "girl", "brother", "sister", "cat", "dog", "key", "book",
             "letter", "hat", "dress", "axe", "hotel", "station", "school", "market"),
    "love": PEOPLE_WORDS + ANIMAL_WORDS + tuple(FOOD) + tuple(MASS_FOOD) + tuple(DRINKS)
            + ("story", "book", "house", "garden", "school"),
    "have": KIN + ("child", "cat", "dog", "horse", "bird", "cow", "book", "key", "hat",
            "dress", "car", "axe", "apple", "egg", "cake", "house", "garden"),
}
# What an animal would rather not do: drink tea, or look for the letter.
ANIMAL_OBJECTS = {
    "drink": ("water", "milk"),
    "look": ("child", "boy", "girl", "cat", "dog"),
}
TRANSITIVE = tuple(OBJECTS)
INTRANSITIVE = ("sleep", "sing", "work", "arrive")
# Who is also referred to as him, her and them.
PERSON_OBJECT = ("see", "find", "look", "love")
# Verb, English preposition, French preposition, places.
MOVEMENTS = (
    ("sleep", "in", "dans", ("house", "garden", "station", "hotel", "school")),
    ("sing", "in", "dans", ("house", "garden", "hotel", "school")),
    ("work", "at", "à", ("market", "station", "hotel", "school")),
    ("arrive", "at", "à", ("market", "station", "hotel", "school")),
    ("go", "to", "à", ("market", "station", "hotel", "school")),
)
# What one is "dans": of a market, French says "au" instead.
INSIDE = tuple(place for place in PLACES if place != "market")

# Nobody's own.
PUBLIC = ("market", "station")

POSSESSIVES = {
    "my": ("mon", "ma", "mes"), "your": ("ton", "ta", "tes"),
    "his": ("son", "sa", "ses"), "her": ("son", "sa", "ses"),
    "our": ("notre", "notre", "nos"), "their": ("leur", "leur", "leurs"),
}
POSSESSIVE_WORDS = tuple(POSSESSIVES)
COUNTS = {"two": ("deux",), "three": ("trois",), "many": ("beaucoup", "de")}


# ---------------------------------------------------------------- French spelling

def begins_with_vowel(word):
    """Whether a word elides the one before it: a vowel, or an h muet."""
    return word[0] in "aeiouyâàéèêîôœh" and word not in ASPIRATED


CONTRACTIONS = {("à", "le"): "au", ("à", "les"): "aux",
                ("de", "le"): "du", ("de", "les"): "des"}
ELIDING = {"le", "la", "je", "me", "te", "ne", "de", "que"}


def elide(words):
    """le + homme: l' homme. The elided word stays a token of its own."""
    return [word[:-1] + "'"
            if word in ELIDING and index + 1 < len(words)
            and begins_with_vowel(words[index + 1]) else word
            for index, word in enumerate(words)]


def contract(preposition, words):
    """à + le: au; de + les: des; but à + l' homme, which elision sees to."""
    article, following = words[:2]
    fused = CONTRACTIONS.get((preposition, article))
    if fused and (article == "les" or not begins_with_vowel(following)):
        return [fused] + words[1:]
    return [preposition] + words


def agree(participle, gender, plural):
    return participle + ("e" if gender == "f" else "") + ("s" if plural else "")


# ---------------------------------------------------------------- noun phrases

class Phrase(NamedTuple):
    """A subject or an object in both languages."""
    english: list
    french: list
    gender: Optional[str]       # None: the English does not tell
    plural: bool
    person: int                 # index into a conjugation: je, tu, il, nous, ils
    lemmas: tuple = ()


SUBJECT_PRONOUNS = {
    "i": Phrase(["i"], ["je"], None, False, 0),
    "you": Phrase(["you"], ["tu"], None, False, 1),
    "he": Phrase(["he"], ["il"], "m", False, 2),
    "she": Phrase(["she"], ["elle"], "f", False, 2),
    "we": Phrase(["we"], ["nous"], None, True, 3),
    "they": Phrase(["they"], ["ils"], "m", True, 4),
}
OBJECT_PRONOUNS = {
    "me": Phrase(["me"], ["me"], None, False, 0),
    "you": Phrase(["you"], ["te"], None, False, 1),
    "him": Phrase(["him"], ["le"], "m", False, 2),
    "her": Phrase(["her"], ["la"], "f", False, 2),
    "us": Phrase(["us"], ["nous"], None, True, 3),
    "them": Phrase(["them"], ["les"], "m", True, 4),
}
# Nobody sees himself here: i/me, i/us, you/you, we/me and we/us stay out.
SPEAKERS = (0, 3)


def french_adjective(adjective, gender, plural, following=None):
    if adjective.before_vowel and not plural and gender == "m" \
            and following and begins_with_vowel(following):
        return adjective.before_vowel
    if gender == "f":
        return adjective.feminine_plural if plural else adjective.feminine
    return adjective.masculine_plural if plural else adjective.masculine


def french_determined(determiner, words, gender, plural, preposed, mass, negated):
    """The French noun words under an English determiner."""
    article = "les" if plural else "la" if gender == "f" else "le"
    vowel = begins_with_vowel(words[0])
    if negated and determiner in ("a", "bare"):
        return ["de"] + words                           # pas de chat
    if determiner in ("the", "generic"):
        return [article] + words
    if determiner == "a":
        return ["une" if gender == "f" else "un"] + words
    if determiner == "bare" and not mass and preposed:
        return ["de"] + words                           # de petits chats
    if determiner == "bare":
        return contract("de", [article] + words)        # des chats, du pain
    if determiner == "this":
        return ["ces" if plural else "cette" if gender == "f"
                else "cet" if vowel else "ce"] + words
    if determiner in COUNTS:
        return [*COUNTS[determiner], *words]
    masculine, feminine, several = POSSESSIVES[determiner]
    return [several if plural else
            feminine if gender == "f" and not vowel else masculine] + words


def noun_phrase(name, determiner, plural=False, adjective=None, negated=False):
    noun = NOUNS[name]
    english = [noun.english_plural if plural else noun.english]
    french = [noun.french_plural if plural else noun.french]
    lemmas = (name,)
    preposed = False
    if adjective:
        description = ADJECTIVES[adjective]
        preposed = description.precedes
        english.insert(0, adjective)
        french.insert(0 if preposed else 1,
                      french_adjective(description, noun.gender, plural, french[0]))
        lemmas += (adjective,)
    if determiner == "a":
        english.insert(0, "an" if english[0][0] in "aeiou" else "a")
    elif determiner == "this":
        english.insert(0, "these" if plural else "this")
    elif determiner not in ("bare", "generic"):
        english.insert(0, determiner)
    french = french_determined(determiner, french, noun.gender, plural, preposed,
                               noun.english_plural is None, negated)
    return Phrase(english, french, noun.gender, plural, 4 if plural else 2, lemmas)


# ---------------------------------------------------------------- clauses

def english_clause(subject, verb, tense, manner, rest=()):
    """manner: plain, not, never or ask."""
    person, base = subject.person, verb.english
    support = "does" if person == 2 else "do"
    if base == "be" and tense in ("present", "past"):
        auxiliary, main = (BE_PRESENT if tense == "present" else BE_PAST)[person], []
        bare = main
    elif tense in ("future", "can", "must"):
        auxiliary = "will" if tense == "future" else tense
        main = bare = [base]
    elif tense in ("progressive", "going"):
        auxiliary = BE_PRESENT[person]
        main = bare = ["going", "to", base] if tense == "going" else [verb.progressive]
    elif tense == "want":
        auxiliary, bare = None, ["want", "to", base]
        main = ["wants" if person == 2 else "want", "to", base]
    elif tense == "past":
        auxiliary, main, bare, support = None, [verb.past], [base], "did"
    else:
        auxiliary, main, bare = None, [verb.third if person == 2 else base], [base]

    tail = ([verb.particle] if verb.particle else []) + list(rest)
    if manner == "not":
        return subject.english + [auxiliary or support, "not"] + bare + tail
    if manner == "ask":
        return [auxiliary or support] + subject.english + bare + tail
    helper = [auxiliary] if auxiliary else []
    adverb = ["never"] if manner == "never" else []
    return subject.english + helper + adverb + main + tail


def inverted(subject, finite):
    """The subject pronoun after its verb: -tu, -il, and -t-il after a vowel."""
    pronoun = subject.french[0]
    link = "-t-" if pronoun in ("il", "elle") and finite[-1] in "ea" else "-"
    return link + pronoun


def french_clause(subject, verb, tense, manner, rest=(), clitic=None):
    """manner: plain, not, never, ask (est-ce que) or invert."""
    person = subject.person
    before = clitic.french if clitic else []
    after = []
    if tense in MODALS:
        finite, after, before = MODALS[tense][person], before + [verb.infinitive], []
    elif tense == "future":
        finite = verb.future[person]
    elif tense == "past" and verb.imperfect:
        finite = verb.imperfect[person]
    elif tense == "past" and verb.auxiliary == "être":
        finite = VERBS["be"].present[person]
        after = [agree(verb.participle, subject.gender, subject.plural)]
    elif tense == "past":
        # With avoir the participle agrees with an object that comes before it.
        finite = VERBS["have"].present[person]
        after = [agree(verb.participle, clitic.gender, clitic.plural) if clitic
                 else verb.participle]
    else:
        finite = verb.present[person]

    rest = list(rest)
    if manner in ("not", "never"):
        adverb = {"not": "pas", "never": "jamais"}[manner]
        return subject.french + ["ne"] + before + [finite, adverb] + after + rest
    if manner == "invert":
        return before + [finite, inverted(subject, finite)] + after + rest
    statement = subject.french + before + [finite] + after + rest
    return ["est-ce", "que"] + statement if manner == "ask" else statement


class Sentence(NamedTuple):
    source: str
    target: str
    pattern: str
    lemmas: tuple       # its nouns, verbs and adjectives, sorted


# "be" as a copula, the auxiliaries and the modals are not content words: were
# they counted, a combination would be told apart by them and held out less.
def sentence(pattern, english, french, lemmas, mark="."):
    content = tuple(sorted(set(lemmas) - {"be"}))
    return Sentence(" ".join(english + [mark]), " ".join(elide(french + [mark])),
                    pattern, content)


def both(subject, verb, tense, manner, english_rest=(), french_rest=(), clitic=None):
    english_manner = "ask" if manner == "invert" else manner
    if clitic:
        english_rest = clitic.english + list(english_rest)
    return (english_clause(subject, verb, tense, english_manner, english_rest),
            french_clause(subject, verb, tense, manner, french_rest, clitic))


# ---------------------------------------------------------------- choosing

MANNERS = ("plain", "not", "ask")
TENSES = ("present", "past", "future")


def mark_of(manner):
    return "?" if manner in ("ask", "invert") else "."


def choose_subject_noun(chance, names, adjective=None):
    name = chance.choice(names)
    plural = NOUNS[name].english_plural is not None and chance.random() < 0.4
    if name in KIN:
        determiner = chance.choice(POSSESSIVE_WORDS)
    elif name in PEOPLE and name != "child":
        determiner = chance.choice(("the", "the", "this"))
    elif name in MASS_FOOD or name in DRINKS:
        determiner = "the"
    elif name in PUBLIC:
        determiner = chance.choice(("the", "this"))
    else:
        determiner = chance.choice(("the", "the", "this", chance.choice(POSSESSIVE_WORDS)))
    return noun_phrase(name, determiner, plural, adjective)


def choose_pronoun(chance, gender_needed=False):
    """I, you and we twice as often: their verb forms are met nowhere else."""
    return chance.choice([pronoun for pronoun in SUBJECT_PRONOUNS.values()
                          for _ in range(1 if pronoun.gender else 2)
                          if pronoun.gender or not gender_needed])


def choose_subject(chance, verb, tense):
    """Pronoun or noun; the participle of être needs a gender that English tells."""
    if chance.random() < 0.45:
        return choose_pronoun(chance, tense == "past" and verb.auxiliary == "être")
    return choose_subject_noun(chance, SUBJECTS[verb.english])


def choose_object(chance, verb, avoid=(), negated=False, described=False):
    """An object the verb makes sense with, for a subject with the lemmas to avoid."""
    adjective = None
    while True:
        name = chance.choice(OBJECTS[verb])
        if name not in ANIMAL_OBJECTS.get(verb, (name,)) \
                and any(lemma in ANIMALS for lemma in avoid):
            continue
        if described:
            fitting = [word for word in ADJECTIVES
                       if name in DESCRIBES[word]]
            if not fitting or NOUNS[name].english_plural is None:
                continue
            adjective = chance.choice(fitting)
        if name not in avoid:
            break
    if NOUNS[name].english_plural is None:
        determiner = chance.choice(("bare", "bare", "the"))
        if verb == "love" and determiner == "bare":
            determiner = "generic"
        return noun_phrase(name, determiner, negated=negated)
    if verb == "have":
        choices = ("a", "a", "bare", "two", "three", "many")
    elif name in KIN:
        choices = POSSESSIVE_WORDS
    elif verb == "love":
        choices = ("the", "this", "generic")
        if name in PEOPLE and name != "child":
            choices = ("the", "this")
    elif name in PEOPLE or name in PLACES:
        choices = ("the", "the", "this", "a")
    else:
        choices = ("the", "the", "a", "a", "this", chance.choice(POSSESSIVE_WORDS),
                   "bare", "bare", chance.choice(("two", "three", "many")))
    if described:
        choices = [word for word in choices if word not in COUNTS]
    determiner = chance.choice(choices)
    if determiner == "a":
        plural = False
    elif determiner in ("bare", "generic") or determiner in COUNTS:
        plural = True
    else:
        plural = chance.random() < 0.35
    return noun_phrase(name, determiner, plural, adjective, negated)


def choose_place(chance, names, plural=False):
    name = chance.choice(names)
    owners = () if name in PUBLIC else (chance.choice(POSSESSIVE_WORDS),)
    return noun_phrase(name, chance.choice(("the", "the", "this") + owners), plural)


def choose_object_pronoun(chance, subject, gender_needed):
    while True:
        pronoun = chance.choice(list(OBJECT_PRONOUNS.values()))
        if gender_needed and not pronoun.gender:
            continue
        if subject.person in (0, 1, 3) and pronoun.person == subject.person:
            continue
        if subject.person in SPEAKERS and pronoun.person in SPEAKERS:
            continue
        return pronoun


# ---------------------------------------------------------------- patterns

def object_sentence(chance, name, manner, tense, described=False):
    # What one drinks has no plural, and choose_object describes what has one.
    verb = VERBS[chance.choice([verb for verb in TRANSITIVE
                                if not (described and verb == "drink")])]
    subject = choose_subject(chance, verb, tense)
    thing = choose_object(chance, verb.english, subject.lemmas,
                          manner in ("not", "never"), described)
    english, french = both(subject, verb, tense, manner, thing.english, thing.french)
    return sentence(f"{name}, {tense}", english, french,
                    subject.lemmas + thing.lemmas + (verb.english,), mark_of(manner))


def transitive(chance):
    """the boy eats the apple . / le garçon mange la pomme ."""
    return object_sentence(chance, "transitive", "plain", chance.choice(TENSES))


def transitive_negative(chance):
    """i do not have a cat . / je n' ai pas de chat ."""
    return object_sentence(chance, "transitive negative", "not", chance.choice(TENSES))


def transitive_never(chance):
    """he never eats meat . / il ne mange jamais de viande ."""
    return object_sentence(chance, "transitive never", "never", "present")


def transitive_question(chance):
    """does she love the actress ? / est-ce qu' elle aime l' actrice ?"""
    return object_sentence(chance, "transitive question", "ask", chance.choice(TENSES))


def transitive_helper(chance):
    """i want to buy a hat . / je veux acheter un chapeau ."""
    return object_sentence(chance, "transitive helper", "plain",
                           chance.choice(tuple(MODALS)))


def described_object(chance):
    """she buys a red dress . / elle achète une robe rouge ."""
    return object_sentence(chance, "described object", "plain",
                           chance.choice(("present", "past")), described=True)


def pronoun_sentence(chance, name, manner, tense):
    verb = VERBS[chance.choice(PERSON_OBJECT)]
    subject = choose_subject(chance, verb, tense)
    pronoun = choose_object_pronoun(chance, subject, tense == "past")
    english, french = both(subject, verb, tense, manner, clitic=pronoun)
    return sentence(f"{name}, {tense}", english, french,
                    subject.lemmas + (verb.english,), mark_of(manner))


def object_pronoun(chance):
    """the boy saw her . / le garçon l' a vue ."""
    return pronoun_sentence(chance, "object pronoun", "plain", chance.choice(TENSES))


def object_pronoun_negative(chance):
    """the boy does not see them . / le garçon ne les voit pas ."""
    return pronoun_sentence(chance, "object pronoun negative", "not",
                            chance.choice(TENSES))


def object_pronoun_helper(chance):
    """the girl wants to find him . / la fille veut le trouver ."""
    return pronoun_sentence(chance, "object pronoun helper", "plain",
                            chance.choice(tuple(MODALS)))


def intransitive_sentence(chance, name, manner, tenses):
    verb = VERBS[chance.choice(INTRANSITIVE)]
    tense = chance.choice(tenses)
    subject = choose_subject(chance, verb, tense)
    english, french = both(subject, verb, tense, manner)
    return sentence(f"{name}, {tense}", english, french,
                    subject.lemmas + (verb.english,), mark_of(manner))


def intransitive(chance):
    """the girls arrived . / les filles sont arrivées ."""
    return intransitive_sentence(chance, "intransitive", "plain", TENSES)


def intransitive_negative(chance):
    """the owl will not sleep . / le hibou ne dormira pas ."""
    return intransitive_sentence(chance, "intransitive negative", "not", TENSES)


def intransitive_never(chance):
    """his sister never works . / sa sœur ne travaille jamais ."""
    return intransitive_sentence(chance, "intransitive never", "never", ("present",))


def intransitive_question(chance):
    """did the actress arrive ? / est-ce que l' actrice est arrivée ?"""
    return intransitive_sentence(chance, "intransitive question", "ask", TENSES)


def intransitive_helper(chance):
    """the hero must work . / le héros doit travailler ."""
    return intransitive_sentence(chance, "intransitive helper", "plain", tuple(MODALS))


def progressive(chance):
    """the birds are singing . / les oiseaux chantent ."""
    verb = VERBS[chance.choice(("sleep", "sing", "work"))]
    manner = chance.choice(MANNERS)
    subject = choose_subject(chance, verb, "progressive")
    english, french = both(subject, verb, "progressive", manner)
    return sentence(f"progressive, {manner}", english, french,
                    subject.lemmas + (verb.english,), mark_of(manner))


def described_subject(chance):
    """the old man sleeps . / le vieil homme dort ."""
    verb = VERBS[chance.choice(INTRANSITIVE)]
    tense = chance.choice(("present", "past"))
    name = chance.choice(SUBJECTS[verb.english])
    fitting = [word for word in ADJECTIVES
               if name in DESCRIBES[word]]
    subject = choose_subject_noun(chance, (name,), chance.choice(fitting))
    english, french = both(subject, verb, tense, "plain")
    return sentence(f"described subject, {tense}", english, french,
                    subject.lemmas + (verb.english,))


PREDICATES = tuple(word for word in ADJECTIVES if word not in ATTRIBUTE_ONLY)
# A colour or a size is not something to foretell.
LASTING = ("black", "white", "red", "large", "young")
PRONOUN_PREDICATES = ("happy", "sad", "tired", "old", "young")


def choose_predicate(chance, tense):
    """A subject and an adjective for it; je, tu, nous take those of one gender form."""
    adjective = chance.choice([word for word in PREDICATES
                               if tense != "future" or word not in LASTING])
    if adjective in PRONOUN_PREDICATES and chance.random() < 0.25:
        forms = ADJECTIVES[adjective]
        return choose_pronoun(chance, forms.masculine != forms.feminine), adjective
    return choose_subject_noun(chance, DESCRIBES[adjective]), adjective


def predicate_sentence(chance, name, manner):
    tense = chance.choice(TENSES)
    subject, adjective = choose_predicate(chance, tense)
    french_word = french_adjective(ADJECTIVES[adjective], subject.gender, subject.plural)
    english, french = both(subject, VERBS["be"], tense, manner,
                           [adjective], [french_word])
    return sentence(f"{name}, {tense}", english, french,
                    subject.lemmas + (adjective,), mark_of(manner))


def predicate(chance):
    """these dresses are white . / ces robes sont blanches ."""
    return predicate_sentence(chance, "predicate", "plain")


def predicate_negative(chance):
    """the story was not sad . / l' histoire n' était pas triste ."""
    return predicate_sentence(chance, "predicate negative", "not")


def predicate_question(chance):
    """is she happy ? / est-ce qu' elle est heureuse ?"""
    return predicate_sentence(chance, "predicate question", "ask")


def comparison(chance):
    """the boy is as happy as the girl . / le garçon est aussi heureux que la fille ."""
    adjective = chance.choice(("happy", "sad", "tired", "old", "young", "expensive",
                               "beautiful"))
    first = choose_subject_noun(chance, DESCRIBES[adjective])
    kind = next(group for group in (PEOPLE, ANIMALS, FOOD, MASS_FOOD, DRINKS, THINGS,
                                    PLACES) if first.lemmas[0] in group)
    others = [name for name in DESCRIBES[adjective]
              if name in kind and name not in first.lemmas]
    if not others:
        return comparison(chance)
    name = chance.choice(others)
    plural = NOUNS[name].english_plural is not None and chance.random() < 0.4
    second = noun_phrase(name, "my" if name in KIN else "the", plural)
    word = french_adjective(ADJECTIVES[adjective], first.gender, first.plural)
    english, french = both(first, VERBS["be"], "present", "plain",
                           ["as", adjective, "as"] + second.english,
                           ["aussi", word, "que"] + second.french)
    return sentence("comparison", english, french,
                    first.lemmas + second.lemmas + (adjective,))


def choose_couple(chance):
    """the man and my sister; masculine unless both are feminine."""
    first, second = chance.sample(PEOPLE_WORDS, 2)
    halves = [noun_phrase(name, chance.choice(POSSESSIVE_WORDS) if name in KIN else "the")
              for name in (first, second)]
    gender = "f" if all(half.gender == "f" for half in halves) else "m"
    return Phrase(halves[0].english + ["and"] + halves[1].english,
                  halves[0].french + ["et"] + halves[1].french,
                  gender, True, 4, halves[0].lemmas + halves[1].lemmas)


def couple(chance):
    """my sister and the girl arrived . / ma sœur et la fille sont arrivées ."""
    subject = choose_couple(chance)
    if chance.random() < 0.5:
        adjective = chance.choice(("happy", "sad", "tired", "old"))
        word = french_adjective(ADJECTIVES[adjective], subject.gender, True)
        english, french = both(subject, VERBS["be"], "present", "plain",
                               [adjective], [word])
        return sentence("couple predicate", english, french,
                        subject.lemmas + (adjective,))
    verb = VERBS[chance.choice(INTRANSITIVE)]
    tense = chance.choice(("present", "past"))
    english, french = both(subject, verb, tense, "plain")
    return sentence(f"couple, {tense}", english, french,
                    subject.lemmas + (verb.english,))


def movement(chance):
    """he goes to the market . / il va au marché ."""
    word, english_preposition, french_preposition, places = chance.choice(MOVEMENTS)
    verb = VERBS[word]
    tense = chance.choice(TENSES)
    subject = choose_subject(chance, verb, tense)
    place = choose_place(chance, places, chance.random() < 0.15)
    english, french = both(subject, verb, tense, "plain",
                           [english_preposition] + place.english,
                           contract(french_preposition, place.french))
    return sentence(f"movement, {tense}", english, french,
                    subject.lemmas + place.lemmas + (word,))


def location(chance):
    """we were in the garden . / nous étions dans le jardin ."""
    tense, manner = chance.choice(TENSES), chance.choice(MANNERS)
    subject = choose_subject(chance, VERBS["be"], tense)
    place = choose_place(chance, INSIDE)
    english, french = both(subject, VERBS["be"], tense, manner,
                           ["in"] + place.english, ["dans"] + place.french)
    return sentence(f"location, {manner}", english, french,
                    subject.lemmas + place.lemmas, mark_of(manner))


def company(chance):
    """you will sing with my sister . / tu chanteras avec ma sœur ."""
    verb = VERBS[chance.choice(("sing", "work", "arrive"))]
    tense = chance.choice(TENSES)
    subject = choose_subject(chance, verb, tense)
    companion = choose_subject_noun(
        chance, [name for name in PEOPLE if name not in subject.lemmas])
    english, french = both(subject, verb, tense, "plain",
                           ["with"] + companion.english, ["avec"] + companion.french)
    return sentence(f"company, {tense}", english, french,
                    subject.lemmas + companion.lemmas + (verb.english,))


DATES = {"past": (["yesterday"], ["hier"]), "future": (["tomorrow"], ["demain"]),
         "present": (["every", "day"], ["chaque", "jour"])}


def dated(chance):
    """you will drink tea tomorrow . / tu boiras du thé demain ."""
    verb = VERBS[chance.choice(("eat", "drink", "buy", "write", "sleep", "sing", "work",
                                "arrive"))]
    tense = chance.choice(TENSES)
    subject = choose_subject(chance, verb, tense)
    thing = Phrase([], [], None, False, 2)
    if verb.english in OBJECTS:
        thing = choose_object(chance, verb.english, subject.lemmas)
    english, french = both(subject, verb, tense, "plain",
                           thing.english + DATES[tense][0], thing.french + DATES[tense][1])
    return sentence(f"dated, {tense}", english, french,
                    subject.lemmas + thing.lemmas + (verb.english,))


def speaking(chance):
    """the man speaks to the children . / l' homme parle aux enfants ."""
    verb, tense = VERBS["speak"], chance.choice(TENSES)
    manner = chance.choice(MANNERS)
    subject = choose_subject(chance, verb, tense)
    listener = choose_subject_noun(
        chance, [name for name in PEOPLE if name not in subject.lemmas])
    english, french = both(subject, verb, tense, manner, ["to"] + listener.english,
                           contract("à", listener.french))
    return sentence(f"speaking, {manner}, {tense}", english, french,
                    subject.lemmas + listener.lemmas + ("speak",), mark_of(manner))


def choose_owned(chance):
    """the woman 's horses / les chevaux de la femme"""
    owner = choose_subject_noun(chance, [name for name in PEOPLE if name not in KIN])
    name = chance.choice(ANIMAL_WORDS + tuple(THINGS) + ("house", "garden"))
    owned = noun_phrase(name, "the", chance.random() < 0.35)
    genitive = "'" if owner.plural and owner.english[-1].endswith("s") else "'s"
    return Phrase(owner.english + [genitive] + owned.english[1:],
                  owned.french + contract("de", owner.french),
                  owned.gender, owned.plural, owned.person, owner.lemmas + owned.lemmas)


def genitive_predicate(chance):
    """the man 's dogs are black . / les chiens de l' homme sont noirs ."""
    subject = choose_owned(chance)
    fitting = [word for word in PREDICATES if subject.lemmas[1] in DESCRIBES[word]]
    if not fitting:
        return genitive_predicate(chance)
    adjective = chance.choice(fitting)
    tense = chance.choice(("present", "past"))
    word = french_adjective(ADJECTIVES[adjective], subject.gender, subject.plural)
    english, french = both(subject, VERBS["be"], tense, "plain", [adjective], [word])
    return sentence(f"genitive predicate, {tense}", english, french,
                    subject.lemmas + (adjective,))


def genitive_object(chance):
    """i see the hero 's horse . / je vois le cheval du héros ."""
    verb, tense = VERBS["see"], chance.choice(TENSES)
    thing = choose_owned(chance)
    subject = choose_pronoun(chance)
    english, french = both(subject, verb, tense, "plain", thing.english, thing.french)
    return sentence(f"genitive object, {tense}", english, french,
                    thing.lemmas + ("see",))


def question_word(chance):
    """why did she buy the car ? / pourquoi a -t-elle acheté la voiture ?"""
    english_word, french_word = chance.choice((("where", "où"), ("why", "pourquoi")))
    verb = VERBS[chance.choice(("buy", "find", "see") if english_word == "where"
                               else ("buy", "look", "eat", "drink", "love"))]
    subject = choose_pronoun(chance)
    while subject.person == 0:          # -je is bookish with most verbs
        subject = choose_pronoun(chance)
    tense = chance.choice(("present", "past"))
    thing = choose_object(chance, verb.english)
    english, french = both(subject, verb, tense, "invert", thing.english, thing.french)
    return sentence(f"{english_word} question, {tense}", [english_word] + english,
                    [french_word] + french, thing.lemmas + (verb.english,), "?")


def which_question(chance):
    """which dress does she buy ? / quelle robe achète -t-elle ?"""
    verb = VERBS[chance.choice(("buy", "look", "love", "see", "write"))]
    name = chance.choice([name for name in OBJECTS[verb.english]
                          if NOUNS[name].english_plural and name not in KIN])
    noun, plural = NOUNS[name], chance.random() < 0.4
    subject = choose_pronoun(chance)
    while subject.person == 0:
        subject = choose_pronoun(chance)
    english, french = both(subject, verb, "present", "invert")
    word = agree("quel" if noun.gender == "m" else "quelle", "m", plural)
    return sentence("which question",
                    ["which", noun.english_plural if plural else name] + english,
                    [word, noun.french_plural if plural else noun.french] + french,
                    (name, verb.english), "?")


def who_question(chance):
    """who ate the cake ? / qui a mangé le gâteau ?"""
    verb, tense = VERBS[chance.choice(TRANSITIVE)], chance.choice(TENSES)
    thing = choose_object(chance, verb.english)
    asked = Phrase(["who"], ["qui"], "m", False, 2)
    english, french = both(asked, verb, tense, "plain", thing.english, thing.french)
    return sentence(f"who question, {tense}", english, french,
                    thing.lemmas + (verb.english,), "?")


def lost_and_found(chance):
    """where is my key ? i lost it . / où est ma clé ? je l' ai perdue ."""
    verb = VERBS[chance.choice(("lose", "find", "buy"))]
    names = [name for name in OBJECTS[verb.english]
             if name in THINGS or name in ("cat", "dog", "horse", "cow")]
    plural = chance.random() < 0.4
    thing = noun_phrase(chance.choice(names),
                        chance.choice(("the", chance.choice(POSSESSIVE_WORDS))), plural)
    pronoun = Phrase(["them" if plural else "it"],
                     ["les" if plural else "la" if thing.gender == "f" else "le"],
                     thing.gender, plural, thing.person)
    english, french = both(choose_pronoun(chance), verb, "past", "plain",
                           clitic=pronoun)
    be = BE_PRESENT[thing.person], VERBS["be"].present[thing.person]
    return sentence("lost and found",
                    ["where", be[0]] + thing.english + ["?"] + english,
                    ["où", be[1]] + thing.french + ["?"] + french,
                    thing.lemmas + (verb.english,))


def whereabouts(chance):
    """where are the girls ? they are working . / où sont les filles ? elles travaillent ."""
    verb = VERBS[chance.choice(("sleep", "work", "sing"))]
    person = choose_subject_noun(chance, PEOPLE_WORDS)
    feminine = person.gender == "f"
    answer = Phrase(["they" if person.plural else "she" if feminine else "he"],
                    [("elle" if feminine else "il") + ("s" if person.plural else "")],
                    person.gender, person.plural, person.person)
    english, french = both(answer, verb, "progressive", "plain")
    be = BE_PRESENT[person.person], VERBS["be"].present[person.person]
    return sentence("whereabouts",
                    ["where", be[0]] + person.english + ["?"] + english,
                    ["où", be[1]] + person.french + ["?"] + french,
                    person.lemmas + (verb.english,))


def existence(chance):
    """there is a cat in the garden . / il y a un chat dans le jardin ."""
    names = tuple(name for name in PEOPLE if name not in KIN) + ANIMAL_WORDS \
        + ("hat", "car", "book", "key")
    name = chance.choice(names)
    place = choose_place(chance, [place for place in INSIDE
                                  if name != "car" or place != "house"])
    determiner = chance.choice(("a", "a", "bare", "two", "three", "many", "no"))
    if determiner == "no":
        thing = noun_phrase(name, "a", negated=True)
        english = ["there", "is", "no", name]
        french = ["il", "ne", "y", "a", "pas"] + thing.french
    else:
        thing = noun_phrase(name, determiner, determiner != "a")
        english = ["there", BE_PRESENT[thing.person]] + thing.english
        french = ["il", "y", "a"] + thing.french
    return sentence("existence" + (", negative" if determiner == "no" else ""),
                    english + ["in"] + place.english, french + ["dans"] + place.french,
                    thing.lemmas + place.lemmas)


# How often each pattern is tried, against the others.
PATTERNS = {
    transitive: 12, transitive_negative: 6, transitive_never: 3, transitive_question: 6,
    transitive_helper: 7, described_object: 12,
    object_pronoun: 5, object_pronoun_negative: 3, object_pronoun_helper: 3,
    intransitive: 4, intransitive_negative: 3, intransitive_never: 1.5,
    intransitive_question: 3, intransitive_helper: 3, progressive: 4,
    described_subject: 4,
    predicate: 7, predicate_negative: 4, predicate_question: 4, comparison: 2, couple: 3,
    movement: 7, location: 4, company: 5, dated: 6, speaking: 4,
    genitive_predicate: 3, genitive_object: 2,
    question_word: 4, which_question: 4, who_question: 3,
    lost_and_found: 3, whereabouts: 2, existence: 4,
}


# ---------------------------------------------------------------- the three parts

def is_narrow(word):
    company = OBJECTS.get(word) or DESCRIBES.get(word)
    return company is not None and len(company) < NARROW


@functools.cache
def part_of(lemmas):
    """Where a combination of content words goes, whatever pattern it comes in.

    A single content word is no combination, so train keeps those.
    """
    if len(lemmas) < 2 or len(lemmas) == 2 and any(map(is_narrow, lemmas)):
        return "train"
    shares = PAIR_SHARES if len(lemmas) == 2 else SHARES
    draw = random.Random(f"{SEED} {' '.join(lemmas)}").random()
    if draw < shares["test"]:
        return "test"
    return "valid" if draw < shares["test"] + shares["valid"] else "train"


def words_of(pair):
    """Its word forms of both languages, told apart by the language."""
    return {("english", word) for word in pair.source.split()} \
        | {("french", word) for word in pair.target.split()}


def build():
    """The three parts, each a list of Sentences; no source occurs twice anywhere."""
    chance = random.Random(SEED)
    patterns, weights = list(PATTERNS), list(PATTERNS.values())
    parts = {name: [] for name in SIZES}
    seen = set()
    counts = collections.Counter()      # of the word forms in train
    rare = set()                        # those met too seldom so far

    def is_wanted(words, name):
        if name != "train":
            # A held-out sentence is made of words that train has shown.
            return all(counts[word] for word in words)
        # Two thirds as they come; then only what brings a rare word form,
        # until none is rare; then the rest as it comes again.
        return (3 * len(parts[name]) < 2 * SIZES[name]
                or not rare or not rare.isdisjoint(words))

    while any(len(parts[name]) < size for name, size in SIZES.items()):
        pair = chance.choices(patterns, weights)[0](chance)
        name = part_of(pair.lemmas)
        if len(parts[name]) < SIZES[name] and pair.source not in seen \
                and is_wanted(words_of(pair), name):
            seen.add(pair.source)
            parts[name].append(pair)
            if name == "train":
                for word in words_of(pair):
                    counts[word] += 1
                    (rare.add if counts[word] < RAREST else rare.discard)(word)
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
