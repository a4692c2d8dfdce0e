/* Words and joiners: what is cut where, and that it comes back. */
#include "check_main.h"

#include <stdio.h>
#include <string.h>

#include <tidegate/tidegate.h>
#include <utf8proc.h>

#define J    "\xEF\xBF\xAD" /* the joiner */
#define E    "\xEF\xBF\xAE" /* what it is escaped with */
#define MARK "\xEF\xBB\xBF" /* the byte order mark */

/* The tokens, with a space between. */
static void tokenized(const tg_tokenizer *k, const char *text, char *out, size_t bytes)
{
    int n;
    char **token = tg_tokenizer_split(k, text, &n);
    size_t used = 0;
    out[0] = 0;
    ck_assert_ptr_nonnull(token);
    ck_assert_ptr_null(token[n]);
    for (int i = 0; i < n; i++) {
        used += (size_t)snprintf(out + used, bytes - used, "%s%s", i ? " " : "", token[i]);
        ck_assert_uint_lt(used, bytes);
    }
    ck_assert_int_eq(tg_tokenize(k, text, NULL, NULL), n);
    free(token);
}

static void joined(const tg_tokenizer *k, const char *text, char *out, size_t bytes)
{
    int n;
    char **token = tg_tokenizer_split(k, text, &n);
    ck_assert_ptr_nonnull(token);
    ck_assert_uint_lt(tg_tokenizer_join(k, n, (const char *const *)token, out, bytes), bytes);
    free(token);
}

/* ---- the rules ---- */

static const struct {
    const char *text, *tokens;
} cases[] = {
    { "", "" },
    { " \t\r\n", "" },
    { "one", "one" },
    { "Say \"yes, sir\".", "Say \"" J " yes " J ", sir " J "\" " J "." },
    { "(a) [b] {c}!", "(" J " a " J ") [" J " b " J "] {" J " c " J "} " J "!" },
    { "(\"x\"), !\"", "(" J " \"" J " x " J "\" " J ") " J ", ! " J "\"" },
    { "and/or AT&T a_b 50% $5 #1 2+2",
      "and " J "/" J " or AT " J "&" J " T a " J "_" J " b 50 " J "% $" J " 5 #" J " 1 2 " J "+" J " 2" },
    /* numbers, stops, hyphens */
    { "3,000.50, 1.5. 1,2", "3,000.50 " J ", 1.5 " J ". 1,2" },
    { "a,b 1,b .5 -5 x-5 10:30 1990-1995",
      "a " J "," J " b 1 " J "," J " b .5 -5 x-5 10 " J ":" J " 30 1990-1995" },
    { "wait... ... !!! a--b --", "wait " J "... ... !!! a " J "--" J " b --" },
    { "well-known pre- -Hello - T-shirt", "well-known pre- -Hello - T-shirt" },
    { "U.S. a.m. e.g., Ph.D. J. Smith Mr. Dr. mme.", "U.S. a.m. e.g. " J ", Ph.D. J. Smith Mr. Dr. mme." },
    { "J... U.S..", "J " J "... U.S " J ".." },
    { "the end. x.com. 5. No.", "the end " J ". x.com " J ". 5 " J ". No " J "." },
    /* apostrophes */
    { "l'eau d'homme qu'il L'\xC3\xA9t\xC3\xA9 d'\xC5\x93uvre j'y",
      "l'" J " eau d'" J " homme qu'" J " il L'" J " \xC3\xA9t\xC3\xA9 d'" J " \xC5\x93uvre j'" J " y" },
    { "John's don't I'm rock'n'roll O'Brien's",
      "John " J "'s don " J "'t I " J "'m rock " J "'n " J "'roll O " J "'Brien " J "'s" },
    { "l\xE2\x80\x99"
      "eau it\xE2\x80\x99s",
      "l\xE2\x80\x99" J " eau it " J "\xE2\x80\x99s" },
    { "'yes' 'don't' 'yes,' 'tis ''x''",
      "'" J " yes " J "' '" J " don " J "'t " J "' '" J " yes " J ", " J "' 'tis ''" J " x " J "''" },
    { "dogs' d' grand' hello' \xE2\x80\x98world\xE2\x80\x99",
      "dogs " J "' d' grand' hello " J "' \xE2\x80\x98" J " world " J "\xE2\x80\x99" },
    { "y'all ma'am o'clock o'er d'you D'Ya tell'em dogs'ear j'y d'yeux L'Yonne",
      "y " J "'all ma " J "'am o " J "'clock o " J "'er d " J "'you D " J "'Ya tell " J "'em dogs " J
      "'ear j'" J " y d'" J " yeux L'" J " Yonne" },
    { "dell\xE2\x80\x99"
      "arte Aujourd\xE2\x80\x99hui hill\xE2\x80\x99over dell\xE2\x80\x99 hill\xE2\x80\x99",
      "dell\xE2\x80\x99" J " arte Aujourd\xE2\x80\x99" J " hui hill " J
      "\xE2\x80\x99over dell\xE2\x80\x99 hill " J "\xE2\x80\x99" },
    { ".NET x.NET ..NET (.com)", ".NET x.NET .." J " NET (" J " ." J " com " J ")" },
    { "l&apos;eau John&#39;s &quot;x&quot; R&amp;D",
      "l&apos;" J " eau John " J "&#39;s &quot;" J " x " J "&quot; R " J "&amp;" J " D" },
    /* Unicode */
    { "\xC2\xAB\xC2\xA0non\xC2\xA0\xC2\xBB\xE3\x80\x80x",
      "\xC2\xAB non \xC2\xBB x" }, /* no-break and wide spaces */
    { "caf\xC3\xA9, e\xCC\x81, x\xCC\x83\xCC\x83!",
      "caf\xC3\xA9 " J ", \xC3\xA9 " J ", x\xCC\x83\xCC\x83 " J "!" },
    { "\xE4\xB8\xAD\xE6\x96\x87\xE3\x80\x82", "\xE4\xB8\xAD\xE6\x96\x87 " J "\xE3\x80\x82" },
    { "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7!",
      "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7 " J "!" }, /* one emoji */
    { "a\x01"
      "b",
      "a " J "\x01" J " b" },
    { "a\xFF"
      "b, \xC3",
      "a\xFF"
      "b " J ", \xC3" }, /* no UTF-8 */
    /* the joiner itself, and at signs */
    { J " " E " a" J "b " E "1 " J J, E "1 " E "0 a " J E "1" J " b " E "0" J " 1 " E "1" E "1" },
    { "@@ a@@ a@b.c", "@ " J "@ a " J "@ " J "@ a " J "@" J " b.c" },
};

START_TEST(words_are_cut_where_the_rules_say)
{
    tg_context *cx = tg_context_new(NULL);
    const tg_tokenizer *k = tg_tokenizer_new(cx, NULL);
    char got[400];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tokenized(k, cases[i].text, got, sizeof got);
        ck_assert_str_eq(got, cases[i].tokens);
    }
    tg_context_free(cx);
}
END_TEST

/* Lines as Moses and other tokenizers write them. */
static const char *const tokenized_lines[] = {
    "two young , white males are outside near many bushes .",
    "a man in an orange hat starring at something .",
    "un homme avec un chapeau orange regardant quelque chose .",
    "deux hommes sont dans l' eau , qu' ils aiment ; aujourd' hui , c' est grand' chose .",
    "a little girl &apos;s dog , who isn &apos;t there , said : &quot; n&apos;t &quot; &#91; 5 &#93; &amp; "
    "&#124; &lt; &gt;",
    "the man &apos;s well @-@ known house costs 3,000.50 $ , - 5 % at 10 : 30 ...",
    "john 's o 'brien do n't ca n't it 's 5 o 'clock , d 'angelo 'll 've 're 'm 'd",
    "pourquoi aimions -nous la viande ? a -t-elle parl\xC3\xA9 ?",
    "-LRB- x -RRB- -lsb- y -rsb- `` quoted '' -- and -",
    "mr. smith , ph.d. , of the u.s. left at 5 p.m. to st. paul with j. p. morgan .",
    "<unk> <s> </s> <pad> N 's @/@ @.@ @,@",
    "hors-d'\xC5\x93uvre", /* but an apostrophe between letters is cut */
};

START_TEST(tokenized_text_keeps_its_tokens)
{
    tg_context *cx = tg_context_new(NULL);
    const tg_tokenizer *k = tg_tokenizer_new(cx, NULL);
    const int n = sizeof tokenized_lines / sizeof *tokenized_lines;
    char got[400];
    for (int i = 0; i < n; i++) {
        tokenized(k, tokenized_lines[i], got, sizeof got);
        if (i < n - 1)
            ck_assert_str_eq(got, tokenized_lines[i]);
        else
            ck_assert_str_eq(got, "hors-d'" J " \xC5\x93uvre");
        joined(k, tokenized_lines[i], got, sizeof got);
        ck_assert_str_eq(got, tokenized_lines[i]);
    }
    tg_context_free(cx);
}
END_TEST

/* ---- there and back ---- */

static bool is_white(utf8proc_int32_t code)
{
    const utf8proc_category_t c = utf8proc_category(code);
    return (code >= '\t' && code <= '\r') || code == ' ' || code == 0x85 || c == UTF8PROC_CATEGORY_ZS ||
           c == UTF8PROC_CATEGORY_ZL || c == UTF8PROC_CATEGORY_ZP;
}

/* text in normal form C, each run of white space one space, none around: by utf8proc's own functions. */
static void squeezed(const char *text, char *out)
{
    char *normal = (char *)utf8proc_NFC((const utf8proc_uint8_t *)text), *to = out;
    utf8proc_int32_t code;
    bool space = false;
    for (const char *p = normal; *p;) {
        const utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)p, -1, &code);
        if (!is_white(code)) {
            if (space && to > out) *to++ = ' ';
            memcpy(to, p, (size_t)bytes), to += bytes;
        }
        space = is_white(code);
        p += bytes;
    }
    *to = 0;
    free(normal);
}

/* A code point that may make trouble. */
static utf8proc_int32_t odd_code(const tg_context *cx, int run, uint64_t i)
{
    static const utf8proc_int32_t signs[] = { ' ',     ' ',     ' ',    '\'',   '\'',   '.',   ',',   '-',
                                              '"',     '(',     '@',    '&',    'a',    's',   '1',   'h',
                                              0x2019,  0xFFED,  0xFFEE, 0x300,  0x301,  0x323, 0xA0,  0x200D,
                                              0x1F469, 0x1F3FD, 0xAC00, 0x1100, 0x1161, 0x915, 0x94D, 0x1F1EB,
                                              0xE9,    0x212B,  0x85,   0x2028, 0xAD };
    const double u = tg_random_uniform(cx, "code", run, i), v = tg_random_uniform(cx, "kind", run, i);
    if (v < 0.7) return signs[(int)(u * (double)(sizeof signs / sizeof *signs))];
    if (v < 0.8) return 0x300 + (utf8proc_int32_t)(u * 0x70);
    if (v < 0.9) return 1 + (utf8proc_int32_t)(u * 0x2FF);
    const utf8proc_int32_t any = 1 + (utf8proc_int32_t)(u * 0x10FFFE);
    return any >= 0xD800 && any < 0xE000 ? 'x' : any;
}

/* Between two tokens that touch, a character ends, with all its marks. (Of many letters that make flags,
 * every second one ends a flag: that cannot be seen from two of them.) */
static void check_cuts(const tg_tokenizer *k, const char *text)
{
    int n;
    char **token = tg_tokenizer_split(k, text, &n);
    utf8proc_int32_t last = ' ', code = 0;
    for (int i = 0; i < n; i++) {
        const char *p = token[i];
        const bool left = !strncmp(p, J, 3);
        ck_assert(tg_utf8_valid(p, NULL));
        if (left) p += 3;
        utf8proc_iterate((const utf8proc_uint8_t *)p, -1, &code);
        if (i && (left || last == 0xFFED))
            ck_assert(last == 0xFFED || utf8proc_grapheme_break(last, code) || code == 0x1F1EB);
        while (*p) p += utf8proc_iterate((const utf8proc_uint8_t *)p, -1, &last);
    }
    free(token);
}

START_TEST(any_text_comes_back_from_its_words)
{
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 3 });
    const tg_tokenizer *k = tg_tokenizer_new(cx, NULL);
    for (int run = 0; run < 20000; run++) {
        char text[200], expected[600], got[600];
        size_t n = 0;
        const int length = (int)(tg_random_uniform(cx, "length", run, 0) * 40);
        for (int i = 0; i < length; i++)
            n += (size_t)utf8proc_encode_char(odd_code(cx, run, (uint64_t)i), (utf8proc_uint8_t *)text + n);
        text[n] = 0;
        squeezed(text, expected);
        joined(k, text, got, sizeof got);
        ck_assert_msg(!strcmp(got, expected), "run %d: '%s' came back as '%s'", run, expected, got);
        check_cuts(k, text);
    }
    tg_context_free(cx);
}
END_TEST

/* A token's text, without joiners and as it stands in the text. */
static size_t body_of(const tg_tokenizer *k, const char *token, char *out, size_t room)
{
    char bare[400];
    size_t n = strlen(token);
    if (n > 3 && !strncmp(token, J, 3)) token += 3, n -= 3;
    if (n > 3 && !strncmp(token + n - 3, J, 3)) n -= 3;
    snprintf(bare, sizeof bare, "%.*s", (int)n, token);
    return tg_tokenizer_join(k, 1, (const char *const[]){ bare }, out, room);
}

/* The texts of the tokens with a space between, and their number. */
static int set_apart(const tg_tokenizer *k, const char *text, char *out, size_t room)
{
    int n;
    size_t used = 0;
    char **token = tg_tokenizer_split(k, text, &n);
    out[0] = 0;
    for (int i = 0; i < n; i++) {
        if (i) out[used++] = ' ';
        used += body_of(k, token[i], out + used, room - used);
        ck_assert_uint_lt(used, room);
    }
    free(token);
    return n;
}

/* What words are made of. */
static const char *word_sign(const tg_context *cx, int run, uint64_t i)
{
    static const char *const signs[] = {
        "a",      "e",  "y", "h", "s", "l", "d",  "qu",   "you", "em",           "n",        "t",
        "1",      "5",  "'", "'", "'", ".", ".",  "-",    ",",   "\xE2\x80\x99", "\xC3\xA9", "&apos;",
        "&quot;", "\"", "@", "(", " ", " ", "ll", "dell", "U.",  "Mr",           "<unk>"
    };
    return signs[(int)(tg_random_uniform(cx, "sign", run, i) * (double)(sizeof signs / sizeof *signs))];
}

START_TEST(tokens_set_apart_are_cut_into_the_same_tokens)
{
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 5 });
    const tg_tokenizer *k = tg_tokenizer_new(cx, NULL);
    for (int run = 0; run < 12000; run++) {
        char text[400], once[1200], twice[1200];
        size_t n = 0;
        const int length = (int)(tg_random_uniform(cx, "length", run, 0) * 16);
        text[0] = 0;
        for (int i = 0; i < length; i++)
            if (run % 3)
                n += (size_t)sprintf(text + n, "%s", word_sign(cx, run, (uint64_t)i));
            else
                n += (size_t)utf8proc_encode_char(odd_code(cx, run, (uint64_t)i),
                                                  (utf8proc_uint8_t *)text + n);
        text[n] = 0;
        const int tokens = set_apart(k, text, once, sizeof once),
                  again = set_apart(k, once, twice, sizeof twice);
        ck_assert_msg(tokens == again && !strcmp(once, twice), "run %d: '%s' gave '%s', then '%s'", run, text,
                      once, twice);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(long_words_and_many_signs_take_no_long_time)
{
    static const char *const pieces[] = { "a",     "'a-",      "'a", "a.", "a,", "-'",
                                          "&amp;", "\xCC\x81", "(",  "a'", J };
    enum { LONG = 1 << 20 };
    tg_context *cx = tg_context_new(NULL);
    const tg_tokenizer *k = tg_tokenizer_new(cx, NULL);
    char *text = malloc(LONG + 1), *back = malloc(LONG + 1);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        size_t n = 0;
        while (n + strlen(pieces[i]) <= LONG)
            memcpy(text + n, pieces[i], strlen(pieces[i])), n += strlen(pieces[i]);
        text[n] = 0;
        joined(k, text, back, LONG + 1);
        ck_assert(!strcmp(text, back));
    }
    free(text);
    free(back);
    tg_context_free(cx);
}
END_TEST

/* ---- normal form and lower case ---- */

static const struct {
    tg_tokenizer_kind kind;
    bool lowercase;
    const char *text, *back;
} forms[] = {
    { TG_WORDS, false, "e\xCC\x81t\xC3\xA9", "\xC3\xA9t\xC3\xA9" },
    { TG_SPACES, false, "e\xCC\x81,  B", "\xC3\xA9, B" },
    { TG_CHARACTERS, false, "e\xCC\x81 \xE2\x84\xAB", "\xC3\xA9 \xC3\x85" }, /* angstrom is a letter */
    { TG_CHARACTERS, false, "\xE1\x84\x80\xE1\x85\xA1 q\xCC\x87\xCC\xA3", "\xEA\xB0\x80 q\xCC\xA3\xCC\x87" },
    { TG_WORDS, false, "\xEF\xAC\x81 \xC2\xB2", "\xEF\xAC\x81 \xC2\xB2" }, /* compatible is not equal */
    { TG_WORDS, true, "L'\xC3\x89T\xC3\x89, ALORS", "l'\xC3\xA9t\xC3\xA9, alors" },
    { TG_SPACES, true, "\xCE\x91\xCE\xA3 \xD0\x96 <UNK>", "\xCE\xB1\xCF\x82 \xD0\xB6 <unk>" },
    { TG_WORDS, true, "\xCE\xA3\xCE\xA3\xCE\xA3, \xCE\xA3 \xCE\x91\xCE\xA3'\xCE\x91",
      "\xCF\x83\xCF\x83\xCF\x82, \xCF\x83 \xCE\xB1\xCF\x83'\xCE\xB1" }, /* final sigma */
    { TG_WORDS, true, "\xCE\x91\xCC\x81\xCE\xA3\xCC\x81. \xC4\xB0", "\xCE\xAC\xCF\x82\xCC\x81. i\xCC\x87" },
    { TG_CHARACTERS, true, MARK MARK "a" MARK, "a" MARK }, /* a byte order mark at the start */
    { TG_SPACES, false, MARK "a", "a" },
    { TG_CHARACTERS, true, "E\xCC\x81 J\xCC\x8C",
      "\xC3\xA9 \xC7\xB0" },              /* only the small j has a composed form */
    { TG_WORDS, true, "E\xFF", "E\xFF" }, /* no UTF-8: as it is */
};

START_TEST(text_is_brought_into_normal_form)
{
    tg_context *cx = tg_context_new(NULL);
    char got[100];
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const tg_tokenizer_config config = { .kind = forms[i].kind, .lowercase = forms[i].lowercase };
        const tg_tokenizer *k = tg_tokenizer_new(cx, &config);
        ck_assert(tg_tokenizer_settings(k).kind == config.kind &&
                  tg_tokenizer_settings(k).lowercase == config.lowercase);
        joined(k, forms[i].text, got, sizeof got);
        ck_assert_str_eq(got, forms[i].back);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(normal_form_and_lower_case_stay_what_they_are)
{
    tg_context *cx = tg_context_new(NULL);
    for (int lowercase = 0; lowercase < 2; lowercase++) {
        const tg_tokenizer *k =
            tg_tokenizer_new(cx, &(tg_tokenizer_config){ TG_CHARACTERS, .lowercase = lowercase });
        for (utf8proc_int32_t code = 1; code < 0x30000; code += code < 0x2000 ? 1 : 5) {
            char text[8] = "", once[64], twice[64], dotted[16];
            if (code >= 0xD800 && code < 0xE000) continue;
            utf8proc_encode_char(code, (utf8proc_uint8_t *)text);
            snprintf(dotted, sizeof dotted, "%s\xCC\x87", text);
            joined(k, dotted, once, sizeof once);
            joined(k, once, twice, sizeof twice);
            ck_assert_msg(!strcmp(once, twice), "U+%04X: '%s', then '%s'", (unsigned)code, once, twice);
        }
    }
    tg_context_free(cx);
}
END_TEST

/* ---- joining ---- */

START_TEST(any_tokens_can_be_joined)
{
    static const struct {
        const char *token[6], *text;
    } lists[] = {
        { { "a", J ",", "b" }, "a, b" },
        { { J ",", "(" J, "b", J ")" }, ", (b)" }, /* joined to nothing */
        { { "(" J, J ")" }, "()" },
        { { J, J J, "x" }, "x" }, /* a joiner alone touches both sides */
        { { "a", "<unk>", J "!" }, "a <unk>!" },
        { { "a", "", "b" }, "a  b" },
        { { E "1" J, E "0x", E "2", E }, J E "x " E "2 " E },
    };
    tg_context *cx = tg_context_new(NULL);
    const tg_tokenizer *k = tg_tokenizer_new(cx, NULL);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        char text[64];
        int n = 0;
        while (n < 6 && lists[i].token[n]) n++;
        const size_t bytes = tg_tokenizer_join(k, n, lists[i].token, text, sizeof text);
        ck_assert_str_eq(text, lists[i].text);
        ck_assert_uint_eq(bytes, strlen(text));
        for (size_t room = 1; room <= bytes; room++) {
            char part[64];
            ck_assert_uint_eq(tg_tokenizer_join(k, n, lists[i].token, part, room), bytes);
            ck_assert(strlen(part) < room && !strncmp(part, text, strlen(part)) && tg_utf8_valid(part, NULL));
        }
    }
    ck_assert_uint_eq(tg_tokenizer_join(k, 0, NULL, NULL, 0), 0);
    tg_context_free(cx);
}
END_TEST

/* ---- failure ---- */

static int left;
static void *spend(void *user, size_t bytes)
{
    (void)user;
    return left-- > 0 ? malloc(bytes) : NULL;
}
static void give_back(void *user, void *block) { (void)user, free(block); }

START_TEST(long_text_without_memory_fails_the_context)
{
    left = 1 << 20;
    tg_context *cx = tg_context_new(&(tg_context_config){ .allocate = spend, .release = give_back });
    const tg_tokenizer *k = tg_tokenizer_new(cx, &(tg_tokenizer_config){ .lowercase = true });
    char text[4001];
    int n = 7, tries = 0;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (; left = tries, tg_tokenize(k, text, NULL, NULL) != 1; tries++) {
        ck_assert_int_eq(tg_context_status(cx), TG_ERR_MEMORY);
        ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "4000 bytes"));
        tg_context_clear(cx);
    }
    ck_assert_int_eq(tries, 2); /* the normal form, and room for a token */
    left = 0;
    ck_assert_ptr_null(tg_tokenizer_split(k, text, &n));
    ck_assert(n == 0 && tg_context_status(cx) == TG_ERR_MEMORY);
    tg_context_clear(cx);
    ck_assert_int_eq(tg_tokenize(k, "Short texts, as sentences are, need none.", NULL, NULL), 10);
    tg_context_free(cx);
}
END_TEST

START_TEST(tokenizer_of_a_failed_context_finds_nothing)
{
    tg_context *cx = tg_context_new(NULL);
    tg_context_fail(cx, TG_ERR_NUMBER, "earlier");
    const tg_tokenizer *k = tg_tokenizer_new(cx, NULL);
    char text[8];
    int n = 7;
    ck_assert_int_eq(tg_tokenize(k, "a b", NULL, NULL), 0);
    ck_assert_ptr_null(tg_tokenizer_split(k, "a b", &n));
    ck_assert_int_eq(n, 0);
    ck_assert_uint_eq(tg_tokenizer_join(k, 1, (const char *const[]){ "a" }, text, sizeof text), 1);
    ck_assert_str_eq(tg_context_message(cx), "earlier");
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("data/words", words_are_cut_where_the_rules_say, tokenized_text_keeps_its_tokens,
             any_text_comes_back_from_its_words, tokens_set_apart_are_cut_into_the_same_tokens,
             long_words_and_many_signs_take_no_long_time, text_is_brought_into_normal_form,
             normal_form_and_lower_case_stay_what_they_are, any_tokens_can_be_joined,
             long_text_without_memory_fails_the_context, tokenizer_of_a_failed_context_finds_nothing)
