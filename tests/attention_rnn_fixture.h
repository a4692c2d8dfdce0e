/* tests/attention_rnn_fixture.h -- small recurrent layers that attend, of every kind, and batches for them. */
#ifndef ATTENTION_RNN_FIXTURE_H
#define ATTENTION_RNN_FIXTURE_H

#include "attention_fixture.h"

enum { I = 6, H = 10, M = 7 }; /* M of dot: H */

static const tg_attention_rnn_config configs[] = {
    { .attention = { .kind = TG_ATTENTION_ADDITIVE, .units = 5 } },
    { .cell = TG_GRU_RESET_AFTER, .attention = { .kind = TG_ATTENTION_ADDITIVE, .coverage = true } },
    { .attention = { .kind = TG_ATTENTION_DOT }, .attentional = 5 },
    { .cell = TG_GRU_RESET_AFTER,
      .attention = { .kind = TG_ATTENTION_DOT, .coverage = true },
      .input_feeding = true },
    { .attention = { .kind = TG_ATTENTION_GENERAL }, .attentional = 3, .input_feeding = true },
    { .cell = TG_GRU_RESET_AFTER, .attention = { .kind = TG_ATTENTION_GENERAL, .coverage = true } },
#define TG_CELL(enumerator, file, name)                                                                      \
    { .cell = enumerator, .attention = { .kind = TG_ATTENTION_ADDITIVE } },                                  \
        { .cell = enumerator, .attention = { .kind = TG_ATTENTION_DOT }, .input_feeding = true },
#include <tidegate/cells.def>
#undef TG_CELL
};
enum { CONFIGS = sizeof configs / sizeof *configs };

typedef struct fixture {
    tg_context *cx;
    tg_params *ps;
    tg_tape *t;
    tg_attention_rnn *l;
    int M, R; /* R: 0 of additive */
} fixture;

static inline fixture fixture_new(int c)
{
    const tg_attention_rnn_config *k = &configs[c];
    fixture f = { .cx = tg_context_new(&(tg_context_config){ .seed = 4, .threads = 2 }),
                  .M = k->attention.kind == TG_ATTENTION_DOT ? H : M,
                  .R = k->attention.kind == TG_ATTENTION_ADDITIVE ? 0
                       : k->attentional                           ? k->attentional
                                                                  : H };
    f.ps = tg_params_new(f.cx);
    f.l = tg_attention_rnn_new(f.ps, "decoder", I, H, f.M, k);
    f.t = tg_tape_new(f.cx);
    shake(f.ps, f.cx);
    ck_assert_msg(tg_context_ok(f.cx), "%s", tg_context_message(f.cx));
    return f;
}

/* ---- a batch: what goes in, and what arrives at the outputs on the way back ---- */

typedef struct arrays {
    int T, B, S;
    tg_real *x, *rows, *h0, *dy, *dc, *du; /* (T,B,I), (S,B,M), (B,H), (T,B,.) */
} arrays;

static inline tg_real *filled(const fixture *f, const char *name, int a, int b, int c)
{
    const size_t n = (size_t)a * (size_t)b * (size_t)c;
    tg_real *x = malloc((n + 1) * sizeof *x);
    fill(f->cx, name, x, n);
    return x;
}
static inline arrays arrays_new(const fixture *f, int T, int B, int S)
{
    return (arrays){ T,
                     B,
                     S,
                     filled(f, "x", T, B, I),
                     filled(f, "rows", S, B, f->M),
                     filled(f, "h0", 1, B, H),
                     filled(f, "dy", T, B, H),
                     filled(f, "dc", T, B, f->M),
                     filled(f, "du", T, B, f->R) };
}
static inline void arrays_free(arrays *a)
{
    tg_real *all[] = { a->x, a->rows, a->h0, a->dy, a->dc, a->du };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

typedef struct outcome {
    tg_tensor *x, *rows, *h0;
    tg_attended y;
    tg_attention_state after;
} outcome;

static inline outcome begin(fixture *f, const arrays *a)
{
    tg_tape_begin(f->t, TG_TRAIN);
    return (outcome){ .x = tg_input(f->t, 3, (int[]){ a->T, a->B, I }, a->x),
                      .rows = tg_input(f->t, 3, (int[]){ a->S, a->B, f->M }, a->rows),
                      .h0 = tg_input(f->t, 2, (int[]){ a->B, H }, a->h0) };
}

/* The whole run, and all gradients; those of parameters are added. */
static inline outcome run(fixture *f, const arrays *a, const int *lengths, const int *memory_lengths)
{
    outcome o = begin(f, a);
    const tg_memory memory = tg_attention_rnn_memory(f->l, f->t, o.rows, memory_lengths);
    o.y =
        tg_attention_rnn_run(f->l, f->t, o.x, lengths, &memory, &(tg_attention_state){ .h = o.h0 }, &o.after);
    ck_assert_msg(tg_tape_backward_from(f->t, f->R ? 3 : 2,
                                        (tg_tensor *[]){ o.y.output, o.y.context, o.y.attentional },
                                        (const tg_real *const[]){ a->dy, a->dc, a->du }) == TG_OK,
                  "%s", tg_context_message(f->cx));
    return o;
}

#endif
