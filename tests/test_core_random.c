/* Counter-based random numbers. */
#include <math.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "core/random.h"

/* The known answers that come with the reference implementation of Philox 4x32-10 (Random123, kat_vectors). */
START_TEST(philox_gives_the_published_known_answers)
{
    static const struct {
        uint64_t key, step, element;
        uint32_t out[4];
    } known[] = {
        { 0, 0, 0, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { UINT64_MAX, UINT64_MAX, UINT64_MAX, { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { 0x299f31d0a4093822,
          0x0370734413198a2e,
          0x85a308d3243f6a88,
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        tg__random_block(known[i].key, known[i].step, known[i].element, out);
        for (int k = 0; k < 4; k++)
            ck_assert_msg(out[k] == known[i].out[k], "answer %zu, word %d: %08x", i, k, out[k]);
    }
}
END_TEST

START_TEST(streams_differ_by_seed_name_step_and_element)
{
    tg_context *a = tg_context_new(&(tg_context_config){ .seed = 1 }),
               *b = tg_context_new(&(tg_context_config){ .seed = 2 });
    const double u = tg_random_uniform(a, "x", 3, 4);
    ck_assert(u == tg_random_uniform(a, "x", 3, 4));
    ck_assert(u != tg_random_uniform(b, "x", 3, 4));
    ck_assert(u != tg_random_uniform(a, "y", 3, 4));
    ck_assert(u != tg_random_uniform(a, "x", 4, 3));
    tg_context_free(a);
    tg_context_free(b);
}
END_TEST

START_TEST(uniform_and_normal_have_their_moments)
{
    enum { N = 200000 };
    double sum = 0, square = 0, lowest = 1, highest = 0, n_sum = 0, n_square = 0;
    const uint64_t key = tg__random_key(7, "moments");
    for (int i = 0; i < N; i++) {
        const double u = tg__random_uniform(key, 0, (uint64_t)i), n = tg__random_normal(key, 1, (uint64_t)i);
        sum += u, square += u * u, n_sum += n, n_square += n * n;
        lowest = fmin(lowest, u), highest = fmax(highest, u);
    }
    ck_assert(lowest >= 0 && highest < 1 && lowest < 1e-4 && highest > 1 - 1e-4);
    ck_assert_double_eq_tol(sum / N, 0.5, 0.003);
    ck_assert_double_eq_tol(square / N, 1.0 / 3, 0.003);
    ck_assert_double_eq_tol(n_sum / N, 0, 0.01);
    ck_assert_double_eq_tol(n_square / N, 1, 0.02);
}
END_TEST

START_TEST(permutation_holds_each_number_once_and_follows_seed_and_step)
{
    enum { N = 1000 };
    int p[N], again[N], other[N], count[N] = { 0 };
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 5 });
    tg_random_permutation(cx, "order", 0, N, p);
    tg_random_permutation(cx, "order", 1, N, other);
    tg_random_permutation(cx, "order", 0, N, again);
    for (int i = 0; i < N; i++) count[p[i]]++;
    for (int i = 0; i < N; i++) ck_assert_int_eq(count[i], 1);
    ck_assert(!memcmp(p, again, sizeof p) && memcmp(p, other, sizeof p));
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("core/random", philox_gives_the_published_known_answers,
             streams_differ_by_seed_name_step_and_element, uniform_and_normal_have_their_moments,
             permutation_holds_each_number_once_and_follows_seed_and_step)
