/* tests/test_layers_attention.c -- attention against a plain loop, padding that is not looked at, names, errors. */
#include "attention_fixture.h"

enum { MOST_S = 23, MOST_T = 6, MOST_B = 19, WIDEST = 37, ROOM = MOST_S * MOST_B * WIDEST };

static const struct {
    tg_attention_kind kind;
    bool coverage;
    int T, B, S, Q, M, units; /* units: of additive */
} cases[] = {
    { TG_ATTENTION_ADDITIVE, false, 3, 5, 7, 9, 11, 0 },
    { TG_ATTENTION_ADDITIVE, false, 1, 19, 23, 37, 5, 17 },
    { TG_ATTENTION_ADDITIVE, true, 6, 9, 13, 3, 33, 31 },
    { TG_ATTENTION_DOT, false, 4, 3, 5, 13, 13, 0 },
    { TG_ATTENTION_DOT, false, 1, 1, 1, 1, 1, 0 },
    { TG_ATTENTION_DOT, true, 5, 17, 19, 35, 35, 0 },
    { TG_ATTENTION_GENERAL, false, 2, 8, 9, 15, 37, 0 },
    { TG_ATTENTION_GENERAL, true, 6, 10, 3, 17, 2, 0 },
};
enum { CASES = sizeof cases / sizeof *cases };

typedef struct fixture {
    tg_context *cx;
    tg_params *ps;
    tg_tape *t;
    tg_attention *l;
    int T, B, S, Q, M, D, lengths[MOST_B];
    tg_real query[MOST_T * MOST_B * WIDEST], memory[ROOM], dc[MOST_T * MOST_B * WIDEST];
} fixture;

static void fixture_new(fixture *f, int c)
{
    *f = (fixture){ .cx = tg_context_new(&(tg_context_config){ .seed = 5, .threads = 2 }),
                    .T = cases[c].T,
                    .B = cases[c].B,
                    .S = cases[c].S,
                    .Q = cases[c].Q,
                    .M = cases[c].M,
                    .D = cases[c].units ? cases[c].units : cases[c].Q };
    f->ps = tg_params_new(f->cx);
    f->l =
        tg_attention_new(f->ps, "look", f->Q, f->M,
                         &(tg_attention_config){
                             .kind = cases[c].kind, .units = cases[c].units, .coverage = cases[c].coverage });
    f->t = tg_tape_new(f->cx);
    shake(f->ps, f->cx);
    fill(f->cx, "query", f->query, (size_t)(f->T * f->B * f->Q));
    fill(f->cx, "memory", f->memory, (size_t)(f->S * f->B * f->M));
    fill(f->cx, "dc", f->dc, (size_t)(f->T * f->B * f->M));
    for (int b = 0; b < f->B; b++) /* S and 0 among them, if there is more than one */
        f->lengths[b] = b ? (b - 1) * 7 % (f->S + 1) : f->S;
    ck_assert_msg(tg_context_ok(f->cx), "%s", tg_context_message(f->cx));
}

typedef struct outcome {
    tg_tensor *query, *rows, *c, *a;
} outcome;

/* Begins the tape anew; the memory as it is in f. */
static outcome run(fixture *f, tg_mode mode, const int *lengths)
{
    outcome o;
    tg_tape_begin(f->t, mode);
    o.query = tg_input(f->t, 3, (int[]){ f->T, f->B, f->Q }, f->query);
    o.rows = tg_input(f->t, 3, (int[]){ f->S, f->B, f->M }, f->memory);
    const tg_memory memory = tg_attention_memory(f->l, f->t, o.rows, lengths);
    o.c = tg_attention_run(f->l, f->t, o.query, &memory, &o.a);
    ck_assert_msg(tg_context_ok(f->cx), "%s", tg_context_message(f->cx));
    return o;
}

/* ---- the equations of attention.h in plain C, in double ---- */

typedef struct weights {
    tg_real W_q[WIDEST * WIDEST], W_k[WIDEST * WIDEST], v[WIDEST], w[WIDEST];
} weights;

static void get_weights(const fixture *f, int c, weights *W)
{
    const bool additive = cases[c].kind == TG_ATTENTION_ADDITIVE, dot = cases[c].kind == TG_ATTENTION_DOT;
    const size_t Q = (size_t)f->Q, M = (size_t)f->M, D = (size_t)f->D;
    if (additive) ck_assert_int_eq(tg_params_get(f->ps, "look/W_q", W->W_q, Q * D), TG_OK);
    if (additive) ck_assert_int_eq(tg_params_get(f->ps, "look/v", W->v, D), TG_OK);
    if (!dot) ck_assert_int_eq(tg_params_get(f->ps, "look/W_k", W->W_k, M * D), TG_OK);
    if (cases[c].coverage) ck_assert_int_eq(tg_params_get(f->ps, "look/w", W->w, D), TG_OK);
}

/* x (n) W (n,D), column j; without W x_j itself */
static double projected(const tg_real *x, int n, const tg_real *W, int D, int j)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)x[i] * W[i * D + j];
    return sum;
}

static double score(const fixture *f, int c, const weights *W, const tg_real *q, const tg_real *m,
                    double coverage)
{
    double e = 0;
    for (int j = 0; j < f->D; j++) {
        double k = cases[c].kind == TG_ATTENTION_DOT ? (double)m[j] : projected(m, f->M, W->W_k, f->D, j);
        if (cases[c].coverage) k += coverage * W->w[j];
        e += cases[c].kind == TG_ATTENTION_ADDITIVE ? W->v[j] * tanh(projected(q, f->Q, W->W_q, f->D, j) + k)
                                                    : q[j] * k;
    }
    return e;
}

/* a (T,B,S) and context (T,B,M) */
static void plain_loop(const fixture *f, int c, const int *lengths, tg_real *a, tg_real *context)
{
    static weights W;
    get_weights(f, c, &W);
    memset(a, 0, (size_t)(f->T * f->B * f->S) * sizeof *a);
    for (int b = 0; b < f->B; b++) {
        double coverage[MOST_S] = { 0 };
        for (int t = 0; t < f->T; t++) {
            const int row = t * f->B + b;
            double e[MOST_S], sum = 0;
            for (int s = 0; s < lengths[b]; s++)
                sum += e[s] = exp(
                    score(f, c, &W, f->query + row * f->Q, f->memory + (s * f->B + b) * f->M, coverage[s]));
            for (int s = 0; s < lengths[b]; s++) coverage[s] += e[s] /= sum;
            for (int s = 0; s < lengths[b]; s++) a[row * f->S + s] = (tg_real)e[s];
            for (int j = 0; j < f->M; j++) {
                double sum_j = 0;
                for (int s = 0; s < lengths[b]; s++) sum_j += e[s] * f->memory[(s * f->B + b) * f->M + j];
                context[row * f->M + j] = (tg_real)sum_j;
            }
        }
    }
}

static void assert_weights_sum_to_one(const fixture *f, const int *lengths, const tg_real *a)
{
    for (int row = 0; row < f->T * f->B; row++) {
        double sum = 0;
        for (int s = 0; s < f->S; s++) {
            ck_assert(a[row * f->S + s] >= 0);
            if (s >= lengths[row % f->B]) ck_assert(a[row * f->S + s] == 0);
            sum += (double)a[row * f->S + s];
        }
        ck_assert_double_eq_tol(sum, lengths[row % f->B] ? 1 : 0, sizeof(tg_real) == 8 ? 1e-14 : 2e-6);
    }
}

START_TEST(contexts_and_weights_are_those_of_a_plain_loop)
{
    static fixture f;
    static tg_real a[MOST_T * MOST_B * MOST_S], context[MOST_T * MOST_B * WIDEST];
    for (int c = 0; c < CASES; c++) {
        fixture_new(&f, c);
        int all[MOST_B];
        for (int b = 0; b < f.B; b++) all[b] = f.S;
        for (int ragged = 0; ragged < 2; ragged++) {
            const int *lengths = ragged ? f.lengths : all;
            const outcome o = run(&f, ragged ? TG_TRAIN : TG_EVAL, ragged ? lengths : NULL);
            plain_loop(&f, c, lengths, a, context);
            ck_assert_int_eq(o.a->dim[0], f.T);
            ck_assert_int_eq(o.a->dim[1], f.B);
            ck_assert_int_eq(o.a->dim[2], f.S);
            assert_near(o.c->data, context, (size_t)(f.T * f.B * f.M), "the context");
            assert_near(o.a->data, a, (size_t)(f.T * f.B * f.S), "the weights");
            assert_weights_sum_to_one(&f, lengths, o.a->data);
            ck_assert_ptr_null(o.a->grad);
        }
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(scores_far_apart_and_large_give_finite_weights)
{
    const tg_real query[2] = { 1000, 0 }, memory[3 * 2] = { 30, 0, -40, 5, 30, -7 };
    tg_context *cx = tg_context_new(NULL);
    tg_attention *l =
        tg_attention_new(tg_params_new(cx), "look", 2, 2, &(tg_attention_config){ .kind = TG_ATTENTION_DOT });
    tg_tape *t = tg_tape_new(cx);
    tg_tensor *a;
    tg_tape_begin(t, TG_EVAL);
    const tg_memory m = tg_attention_memory(l, t, tg_input(t, 3, (int[]){ 3, 1, 2 }, memory), NULL);
    const tg_tensor *c = tg_attention_run(l, t, tg_input(t, 3, (int[]){ 1, 1, 2 }, query), &m, &a);
    ck_assert(a->data[0] == (tg_real)0.5 && a->data[1] == 0 && a->data[2] == (tg_real)0.5);
    ck_assert(c->data[0] == 30 && c->data[1] == (tg_real)-3.5);
    tg_context_free(cx);
}
END_TEST

/* Everything that comes out, with gradients, in memory of its own. */
static tg_real *everything(fixture *f, const int *lengths, size_t *n)
{
    const outcome o = run(f, TG_TRAIN, lengths);
    size_t parameters;
    tg_params_zero_gradients(f->ps);
    ck_assert_int_eq(
        tg_tape_backward_from(f->t, 1, (tg_tensor *[]){ o.c }, (const tg_real *const[]){ f->dc }), TG_OK);
    const size_t T = (size_t)f->T, B = (size_t)f->B, S = (size_t)f->S, Q = (size_t)f->Q, M = (size_t)f->M;
    const struct {
        const tg_real *x;
        size_t n;
    } parts[] = { { o.c->data, T * B * M },
                  { o.a->data, T * B * S },
                  { o.query->grad, T * B * Q },
                  { o.rows->grad, S * B * M } };
    tg_real *gradients = gradients_of(f->ps, &parameters);
    tg_real *all = malloc((T * B * (M + S + Q) + S * B * M + parameters + 1) * sizeof *all);
    *n = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        memcpy(all + *n, parts[i].x, parts[i].n * sizeof *all);
        *n += parts[i].n;
    }
    memcpy(all + *n, gradients, parameters * sizeof *all);
    *n += parameters;
    free(gradients);
    for (size_t s = 0; s < S; s++) /* what is not looked at gets no gradient */
        for (size_t b = 0; b < B; b++)
            for (size_t j = 0; j < M && (int)s >= lengths[b]; j++)
                ck_assert(o.rows->grad[(s * B + b) * M + j] == 0);
    return all;
}

START_TEST(padding_of_the_memory_is_not_looked_at)
{
    static fixture f;
    for (int c = 0; c < CASES; c++) {
        size_t n, m;
        fixture_new(&f, c);
        tg_real *before = everything(&f, f.lengths, &n);
        for (int s = 0; s < f.S; s++)
            for (int b = 0; b < f.B; b++)
                for (int j = 0; j < f.M && s >= f.lengths[b]; j++)
                    f.memory[(s * f.B + b) * f.M + j] = (tg_real)(1e6 * (j % 2 ? 1 : -1));
        tg_real *after = everything(&f, f.lengths, &m);
        ck_assert_uint_eq(n, m);
        for (size_t i = 0; i < n; i++) /* == : a zero may change its sign */
            ck_assert_msg(before[i] == after[i], "case %d: number %zu of %zu was %.9g and is %.9g", c, i, n,
                          (double)before[i], (double)after[i]);
        free(before);
        free(after);
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(parameters_of_attention_learn_where_query_and_memory_do_not)
{
    static fixture f;
    for (int c = 0; c < CASES; c++) {
        tg_real *gradients[2];
        size_t n;
        fixture_new(&f, c);
        for (int apart = 0; apart < 2; apart++) {
            tg_params_zero_gradients(f.ps);
            tg_tape_begin(f.t, TG_TRAIN);
            tg_tensor *query = tg_input(f.t, 3, (int[]){ f.T, f.B, f.Q }, f.query),
                      *rows = tg_input(f.t, 3, (int[]){ f.S, f.B, f.M }, f.memory);
            if (apart) query = tg_detach(f.t, query), rows = tg_detach(f.t, rows);
            const tg_memory memory = tg_attention_memory(f.l, f.t, rows, f.lengths);
            tg_tensor *y = tg_attention_run(f.l, f.t, query, &memory, NULL);
            ck_assert_int_eq(tg_tape_backward_from(f.t, 1, &y, (const tg_real *const[]){ f.dc }), TG_OK);
            gradients[apart] = gradients_of(f.ps, &n);
        }
        ck_assert(!memcmp(gradients[0], gradients[1], n * sizeof **gradients));
        free(gradients[0]);
        free(gradients[1]);
        tg_context_free(f.cx);
    }
}
END_TEST

START_TEST(parameters_of_attention_have_the_documented_names_and_shapes)
{
    static const struct {
        tg_attention_config config;
        int Q, M, n;
        expected_parameter expected[4];
    } table[] = {
        { { .kind = TG_ATTENTION_ADDITIVE, .units = 4 },
          3,
          5,
          3,
          { { "a/W_q", { 3, 4 } }, { "a/W_k", { 5, 4 } }, { "a/v", { 4, 0 } } } },
        { { .kind = TG_ATTENTION_ADDITIVE, .coverage = true },
          3,
          5,
          4,
          { { "a/W_q", { 3, 3 } }, { "a/W_k", { 5, 3 } }, { "a/v", { 3, 0 } }, { "a/w", { 3, 0 } } } },
        { { .kind = TG_ATTENTION_DOT }, 5, 5, 0, { { NULL, { 0 } } } },
        { { .kind = TG_ATTENTION_DOT, .coverage = true }, 5, 5, 1, { { "a/w", { 5, 0 } } } },
        { { .kind = TG_ATTENTION_GENERAL, .units = 9 }, 3, 5, 1, { { "a/W_k", { 5, 3 } } } },
        { { .kind = TG_ATTENTION_GENERAL, .coverage = true },
          3,
          5,
          2,
          { { "a/W_k", { 5, 3 } }, { "a/w", { 3, 0 } } } },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        tg_context *cx = tg_context_new(NULL);
        tg_params *ps = tg_params_new(cx);
        tg_attention_new(ps, "a", table[i].Q, table[i].M, &table[i].config);
        assert_parameters(ps, table[i].expected, table[i].n);
        ck_assert_msg(tg_context_ok(cx), "%s", tg_context_message(cx));
        tg_context_free(cx);
    }
}
END_TEST

START_TEST(parameters_of_attention_start_as_documented)
{
    enum { Q = 40, M = 60, D = 50 };
    static tg_real x[M * D];
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 2 });
    tg_params *ps = tg_params_new(cx);
    tg_attention_new(ps, "a", Q, M,
                     &(tg_attention_config){ .kind = TG_ATTENTION_ADDITIVE, .units = D, .coverage = true });
    const struct {
        const char *name;
        int n;
        double limit;
    } table[] = { { "a/W_q", Q * D, sqrt(6.0 / (Q + D)) },
                  { "a/W_k", M * D, sqrt(6.0 / (M + D)) },
                  { "a/v", D, 1 / sqrt(D) },
                  { "a/w", D, 0 } };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        double largest = 0;
        ck_assert_int_eq(tg_params_get(ps, table[i].name, x, (size_t)table[i].n), TG_OK);
        for (int k = 0; k < table[i].n; k++) largest = fmax(largest, fabs((double)x[k]));
        ck_assert_double_le(largest, table[i].limit * (1 + 1e-6));
        ck_assert_double_ge(largest, 0.9 * table[i].limit);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(attention_of_wrong_config_fails_with_a_sentence_and_declares_nothing)
{
    static const struct {
        tg_attention_config config;
        int Q, M;
        tg_status status;
        const char *says;
    } wrong[] = {
        { { .kind = TG_ATTENTION_NONE }, 3, 5, TG_ERR_ARGUMENT, "no attention of kind 0" },
        { { .kind = (tg_attention_kind)9 }, 3, 5, TG_ERR_ARGUMENT, "no attention of kind 9" },
        { { .kind = TG_ATTENTION_DOT }, 3, 5, TG_ERR_SHAPE, "they are 3 and 5" },
        { { .kind = TG_ATTENTION_GENERAL }, 0, 5, TG_ERR_ARGUMENT, "query size 0" },
        { { .kind = TG_ATTENTION_GENERAL }, 3, -5, TG_ERR_ARGUMENT, "memory size -5" },
        { { .kind = TG_ATTENTION_ADDITIVE, .units = -1 }, 3, 5, TG_ERR_ARGUMENT, "-1 units" },
    };
    const tg_real x[4] = { 0 };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tg_context *cx = tg_context_new(NULL);
        tg_params *ps = tg_params_new(cx);
        tg_tape *t = tg_tape_new(cx);
        tg_attention *l = tg_attention_new(ps, "look", wrong[i].Q, wrong[i].M, &wrong[i].config);
        assert_fails(cx, wrong[i].status, wrong[i].says);
        ck_assert_int_eq(tg_params_count(ps), 0);
        tg_attention *good =
            tg_attention_new(ps, "look", 2, 2, &(tg_attention_config){ TG_ATTENTION_GENERAL });
        for (int again = 0; again < 2; again++) { /* born in error, it keeps failing */
            tg_tape_begin(t, TG_EVAL);
            tg_tensor *m = tg_input(t, 3, (int[]){ 1, 2, 2 }, x);
            tg_attention_memory(l, t, m, NULL);
            assert_fails(cx, TG_ERR_STATE, "could not be made");
            tg_attention_run(l, t, m, &(tg_memory){ m, m, NULL }, NULL);
            assert_fails(cx, TG_ERR_STATE, "could not be made");
            tg_attention_memory(NULL, t, m, NULL);
            assert_fails(cx, TG_ERR_STATE, "could not be made");
        }
        tg_tape_begin(t, TG_EVAL);
        tg_attention_memory(good, t, tg_input(t, 3, (int[]){ 1, 2, 2 }, x), NULL);
        ck_assert_msg(tg_context_ok(cx), "%s", tg_context_message(cx));
        tg_context_free(cx);
    }
}
END_TEST

START_TEST(wrong_arguments_of_attention_fail_with_their_numbers)
{
    static fixture f;
    fixture_new(&f, 0); /* additive: T 3, B 5, S 7, Q 9, M 11, D 9 */
    size_t n, m;
    tg_real *before = everything(&f, f.lengths, &n);
    static const int lengths[5] = { 7, 7, 8, 7, 7 }, negative[5] = { 7, -1, 7, 7, 7 };
    tg_tape_begin(f.t, TG_TRAIN);
    tg_tensor *query = tg_input(f.t, 3, (int[]){ 3, 5, 9 }, f.query),
              *rows = tg_input(f.t, 3, (int[]){ 7, 5, 11 }, f.memory),
              *flat = tg_input(f.t, 2, (int[]){ 15, 9 }, f.query), *a;
    tg_memory good = tg_attention_memory(f.l, f.t, rows, NULL), bad = good;
    ck_assert(tg_context_ok(f.cx));
    tg_attention_memory(f.l, f.t, query, NULL);
    assert_fails(f.cx, TG_ERR_SHAPE, "the memory is [3,5,9], it takes [S,B,11]");
    tg_attention_memory(f.l, f.t, NULL, NULL);
    assert_fails(f.cx, TG_ERR_ARGUMENT, "rows is NULL");
    tg_attention_run(f.l, f.t, rows, &good, &a);
    assert_fails(f.cx, TG_ERR_SHAPE, "the queries are [7,5,11], it takes [T,B,9]");
    tg_attention_run(f.l, f.t, flat, &good, &a);
    assert_fails(f.cx, TG_ERR_SHAPE, "the queries are [15,9]");
    tg_attention_run(f.l, f.t, NULL, &good, &a);
    assert_fails(f.cx, TG_ERR_ARGUMENT, "query is NULL");
    tg_attention_run(f.l, f.t, query, NULL, &a);
    assert_fails(f.cx, TG_ERR_ARGUMENT, "memory is NULL");
    ck_assert_ptr_nonnull(a);
    tg_attention_run(f.l, f.t, tg_input(f.t, 3, (int[]){ 5, 3, 9 }, f.query), &good, NULL);
    assert_fails(f.cx, TG_ERR_SHAPE, "for 3 rows it takes [S,3,11] and [S,3,9]");
    bad.keys = rows;
    tg_attention_run(f.l, f.t, query, &bad, NULL);
    assert_fails(f.cx, TG_ERR_SHAPE, "with keys [7,5,11]");
    bad = good, bad.lengths = lengths;
    tg_attention_run(f.l, f.t, query, &bad, NULL);
    assert_fails(f.cx, TG_ERR_ARGUMENT, "length of row 2 is 8, outside 0..7");
    bad.lengths = negative;
    tg_attention_run(f.l, f.t, query, &bad, NULL);
    assert_fails(f.cx, TG_ERR_ARGUMENT, "length of row 1 is -1, outside 0..7");
    tg_real *after = everything(&f, f.lengths, &m); /* nothing was harmed */
    ck_assert(n == m && !memcmp(before, after, n * sizeof *before));
    free(before);
    free(after);
    tg_context_free(f.cx);
}
END_TEST

START_TEST(kinds_of_attention_have_names)
{
    ck_assert_str_eq(tg_attention_kind_name(TG_ATTENTION_NONE), "none");
    ck_assert_str_eq(tg_attention_kind_name(TG_ATTENTION_ADDITIVE), "additive");
    ck_assert_str_eq(tg_attention_kind_name(TG_ATTENTION_DOT), "dot");
    ck_assert_str_eq(tg_attention_kind_name(TG_ATTENTION_GENERAL), "general");
    ck_assert_ptr_nonnull(tg_attention_kind_name((tg_attention_kind)77));
}
END_TEST

TG_TEST_MAIN("layers/attention", contexts_and_weights_are_those_of_a_plain_loop,
             scores_far_apart_and_large_give_finite_weights, padding_of_the_memory_is_not_looked_at,
             parameters_of_attention_learn_where_query_and_memory_do_not,
             parameters_of_attention_have_the_documented_names_and_shapes,
             parameters_of_attention_start_as_documented,
             attention_of_wrong_config_fails_with_a_sentence_and_declares_nothing,
             wrong_arguments_of_attention_fail_with_their_numbers, kinds_of_attention_have_names)
