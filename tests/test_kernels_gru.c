/* The GRU's element-wise kernels in every instruction set against plain C, and packed sequences. */
#include <math.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "core/random.h"
#include "kernels/sequence.h"
#include "kernels/simd/table.h"

enum { ROWS = 5, WIDEST = 67, ROOM = ROWS * 3 * WIDEST };

static gru_part part; /* which rows and units are done */
#define EACH_NUMBER(i, j)                                                                                    \
    for (int i = 0; i < part.rows * part.step; i += part.step)                                               \
        for (int j = part.first; j < part.end; j++)

typedef struct arrays { /* inputs, random, and outputs: each kernel uses what it needs */
    tg_real b[3 * WIDEST], b_h[3 * WIDEST], gates[ROOM], h[ROOM], q[ROOM], rh[ROOM], y[ROOM], dh[ROOM],
        drh[ROOM];
} arrays;

static void fill(arrays *a, uint64_t step)
{
    tg_real *x = (tg_real *)a;
    const uint64_t key = tg__random_key(11, "arrays");
    for (size_t i = 0; i < sizeof *a / sizeof *x; i++)
        x[i] = (tg_real)(4 * tg__random_uniform(key, step, i) - 2);
}

/* ---- the same in plain C, with libm in double ---- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static void plain_update_and_reset(arrays *a, int H)
{
    EACH_NUMBER(i, j)
    {
        tg_real *g = a->gates + i * 3 * H;
        g[j] = (tg_real)sigmoid(g[j] + a->b[j]);
        g[H + j] = (tg_real)sigmoid(g[H + j] + a->b[H + j]);
        a->rh[i * H + j] = g[H + j] * a->h[i * H + j];
    }
}
static void plain_output(arrays *a, int H, int stride)
{
    EACH_NUMBER(i, j)
    {
        const tg_real *h = &a->h[i * H + j];
        tg_real *g = a->gates + i * 3 * H;
        g[2 * H + j] = (tg_real)tanh(g[2 * H + j] + a->b[2 * H + j]);
        a->y[i * stride + j] = (tg_real)((double)g[j] * *h + (1 - (double)g[j]) * g[2 * H + j]);
    }
}
static void plain_output_reset_after(arrays *a, int H, int stride)
{
    EACH_NUMBER(i, j)
    {
        const tg_real *h = &a->h[i * H + j];
        tg_real *g = a->gates + i * 3 * H, *q = &a->q[i * H + j];
        *q += a->b_h[2 * H + j];
        g[j] = (tg_real)sigmoid(g[j] + a->b[j] + a->b_h[j]);
        g[H + j] = (tg_real)sigmoid(g[H + j] + a->b[H + j] + a->b_h[H + j]);
        g[2 * H + j] = (tg_real)tanh(g[2 * H + j] + a->b[2 * H + j] + (double)g[H + j] * *q);
        a->y[i * stride + j] = (tg_real)((double)g[j] * *h + (1 - (double)g[j]) * g[2 * H + j]);
    }
}
static void plain_backward_output(arrays *a, int H)
{
    EACH_NUMBER(i, j)
    {
        tg_real *gate = a->gates + i * 3 * H, *dh = &a->dh[i * H + j];
        const double z = gate[j], g = gate[2 * H + j], before = a->h[i * H + j], d = *dh;
        gate[j] = (tg_real)(d * (before - g) * z * (1 - z));
        gate[2 * H + j] = (tg_real)(d * (1 - z) * (1 - g * g));
        *dh = (tg_real)(d * z);
    }
}
static void plain_backward_reset(arrays *a, int H)
{
    EACH_NUMBER(i, j)
    {
        const double r = a->gates[i * 3 * H + H + j], before = a->h[i * H + j], d = a->drh[i * H + j];
        a->gates[i * 3 * H + H + j] = (tg_real)(d * before * r * (1 - r));
        a->dh[i * H + j] = (tg_real)(a->dh[i * H + j] + d * r);
    }
}
static void plain_backward_reset_after(arrays *a, int H)
{
    EACH_NUMBER(i, j)
    {
        tg_real *gate = a->gates + i * 3 * H, *dh = &a->dh[i * H + j], *q = &a->q[i * H + j];
        const double z = gate[j], r = gate[H + j], g = gate[2 * H + j], before = a->h[i * H + j], d = *dh;
        const double dg = d * (1 - z) * (1 - g * g);
        gate[j] = (tg_real)(d * (before - g) * z * (1 - z));
        gate[H + j] = (tg_real)(dg * *q * r * (1 - r));
        gate[2 * H + j] = (tg_real)dg;
        *q = (tg_real)(dg * r);
        *dh = (tg_real)(d * z);
    }
}

static void compare(const arrays *a, const arrays *b, const char *variant, const char *kernel, int H)
{
    const tg_real *x = (const tg_real *)a, *y = (const tg_real *)b;
    for (size_t i = 0; i < sizeof *a / sizeof *x; i++)
        if (!(fabs((double)x[i] - (double)y[i]) <= 4e-6 * fmax(1, fabs((double)y[i]))))
            ck_abort_msg("%s, %s, H=%d: number %zu is %.9g, plain C has %.9g", variant, kernel, H, i,
                         (double)x[i], (double)y[i]);
}

/* Within 4e-6 of the number, or of 1 if that is larger. What lies beyond the rows and columns asked for
 * must stay as it was, too. */
START_TEST(every_variant_agrees_with_plain_c_on_odd_sizes)
{
    static arrays start, a, b;
    const simd_table *s = tg__simd_variant(_i);
    if (!s) return;
    const int sizes[] = { 1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 67 };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int H = sizes[k], stride = H > 33 ? H : 2 * H;
        fill(&start, k);
#define COMPARE(kernel, call, plain)                                                                         \
    do {                                                                                                     \
        a = start;                                                                                           \
        b = start;                                                                                           \
        s->kernel call;                                                                                      \
        plain;                                                                                               \
        compare(&a, &b, s->name, #kernel, H);                                                                \
    } while (0)
        const gru_part parts[] = { { ROWS, 1, H, 0, H },
                                   { (ROWS + 1) / 2, 2, H, 0, H },
                                   { 1, 1, H, 0, H },
                                   { ROWS, 1, H, H / 2, H },
                                   { 2, 3, H, 0, (H + 1) / 2 } };
        for (size_t m = 0; m < sizeof parts / sizeof *parts; m++) {
            part = parts[m];
            const size_t w = (size_t)H, wide = (size_t)stride;
            COMPARE(gru_update_and_reset, (part, a.b, a.h, w, a.gates, a.rh), plain_update_and_reset(&b, H));
            COMPARE(gru_output, (part, a.b, a.gates, a.h, w, a.y, wide), plain_output(&b, H, stride));
            COMPARE(gru_output_reset_after, (part, a.b, a.b_h, a.gates, a.q, a.h, w, a.y, wide),
                    plain_output_reset_after(&b, H, stride));
            COMPARE(gru_backward_output, (part, a.h, w, a.gates, a.dh), plain_backward_output(&b, H));
            COMPARE(gru_backward_reset, (part, a.h, w, a.drh, a.gates, a.dh), plain_backward_reset(&b, H));
            COMPARE(gru_backward_reset_after, (part, a.h, w, a.gates, a.q, a.dh),
                    plain_backward_reset_after(&b, H));
        }
    }
}
END_TEST

START_TEST(packing_keeps_each_token_and_leaves_padding_out)
{
    enum { T = 6, B = 5, WIDTH = 2 };
    const int lengths[B] = { 3, 0, 5, 3, 1 };
    int room[64];
    sequence s;
    tg_context *cx = tg_context_new(NULL);
    ck_assert_uint_le(tg__sequence_room(T, B), 64);
    tg__sequence_init(&s, T, B, lengths, room);
    ck_assert(!s.full);
    ck_assert_int_eq(s.steps, 5);
    ck_assert_int_eq(s.tokens, 12);
    const int order[B] = { 2, 0, 3, 4, 1 }, active[] = { 4, 3, 3, 1, 1, 0 },
              offset[] = { 0, 4, 7, 10, 11, 12 };
    ck_assert(!memcmp(s.order, order, sizeof order) && !memcmp(s.active, active, sizeof active) &&
              !memcmp(s.offset, offset, sizeof offset));
    tg_real x[T * B * WIDTH], packed[12 * WIDTH], back[T * B * WIDTH];
    for (int i = 0; i < T * B * WIDTH; i++) x[i] = (tg_real)(i + 1);
    tg__sequence_pack(cx, &s, WIDTH, x, packed);
    ck_assert(packed[0] == x[2 * WIDTH] && packed[2 * WIDTH] == x[3 * WIDTH]);
    tg__sequence_unpack(cx, &s, WIDTH, packed, back);
    for (int t = 0; t < T; t++)
        for (int b = 0; b < B; b++)
            for (int j = 0; j < WIDTH; j++) {
                const int i = (t * B + b) * WIDTH + j;
                ck_assert(back[i] == (t < lengths[b] ? x[i] : 0));
            }
    tg__sequence_init(&s, T, B, NULL, room);
    ck_assert(s.full && s.tokens == T * B && s.steps == T);
    tg_context_free(cx);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels/gru");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, every_variant_agrees_with_plain_c_on_odd_sizes, 0, 3);
    tcase_add_test(all, packing_keeps_each_token_and_leaves_padding_out);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
