/* Sequences of different lengths in packed order. */
#include <string.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "kernels/recurrent/sequence.h"

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

TG_TEST_MAIN("kernels/sequence", packing_keeps_each_token_and_leaves_padding_out)
