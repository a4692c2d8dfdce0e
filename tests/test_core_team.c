/* The thread team. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <tidegate/tidegate.h>
#include <unistd.h>

#include "check_main.h"
#include "core/context.h"
#include "core/team.h"

static tg_context *context_of(int threads)
{
    tg__team_cores_override = threads;
    tg_context *cx = tg_context_new(&(tg_context_config){ .threads = threads });
    tg__team_cores_override = 0;
    return cx;
}

enum { PIECES = 1000 };
static atomic_int visits[PIECES];
static atomic_long burned;

static void visit(void *argument, int piece)
{
    (void)argument;
    atomic_fetch_add(&visits[piece], 1);
    for (int k = 0; k < 2000; k++) atomic_fetch_add_explicit(&burned, 1, memory_order_relaxed);
}

START_TEST(every_piece_is_done_once_whatever_the_number_of_workers)
{
    for (int threads = 1; threads <= 8; threads++) {
        tg_context *cx = context_of(threads);
        for (int round = 0; round < 20; round++) {
            memset(visits, 0, sizeof visits);
            tg__team_run(cx, PIECES - round, visit, NULL);
            for (int i = 0; i < PIECES; i++) ck_assert_int_eq(visits[i], i < PIECES - round);
        }
        ck_assert_int_eq(tg__team_worked(cx) > 1, threads > 1);
        tg_context_free(cx);
    }
}
END_TEST

static void sleep_briefly(void *argument, int piece)
{
    (void)argument, (void)piece;
    usleep(20);
}

START_TEST(run_by_fewer_threads_uses_no_more_than_these)
{
    for (int threads = 1; threads <= 4; threads++) {
        tg_context *cx = context_of(4);
        for (int round = 0; round < 20 || tg__team_worked(cx) < threads; round++) {
            memset(visits, 0, sizeof visits);
            tg__team_run_by(cx, threads, 200, visit, NULL);
            for (int i = 0; i < 200; i++) ck_assert_int_eq(visits[i], 1);
            tg__team_run_by(cx, threads, 200, sleep_briefly, NULL);
        }
        ck_assert_int_eq(tg__team_worked(cx), threads);
        while (tg__team_worked(cx) < 4)
            tg__team_run(cx, 200, sleep_briefly, NULL); /* the others still work */
        tg_context_free(cx);
    }
}
END_TEST

static void count_piece(void *argument, int piece)
{
    (void)piece;
    atomic_fetch_add((atomic_int *)argument, 1);
}

START_TEST(many_small_runs_with_pauses_lose_nothing)
{
    tg_context *cx = context_of(3);
    atomic_int n = 0;
    for (int k = 0; k < 20000; k++) {
        tg__team_run(cx, 3, count_piece, &n);
        if (k % 2000 == 0) usleep(2000); /* workers fall asleep, and are woken */
    }
    ck_assert_int_eq(n, 60000);
    tg_context_free(cx);
}
END_TEST

static volatile float tiny = 1e-38f;

static void multiply_tiny(void *argument, int piece) { ((float *)argument)[piece] = tiny * 0.001f; }

START_TEST(denormals_are_flushed_inside_and_the_callers_mode_is_restored)
{
    tg_context *cx = context_of(4);
    float result[64];
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 64; i++) result[i] = 1;
        tg__team_run(cx, 64, multiply_tiny, result);
        for (int i = 0; i < 64; i++) ck_assert(result[i] == 0);
        ck_assert(tiny * 0.001f != 0);
    }
    tg_context_free(cx);
}
END_TEST

/* ---- phases ---- */

typedef struct walk { /* each piece writes what it finds beside it in the phase before */
    int pieces, slow;
    unsigned now[2][TEAM_PIECES];
    atomic_int done;
} walk;

static void walk_on(void *argument, int phase, int piece)
{
    walk *w = argument;
    const unsigned *before = w->now[phase % 2];
    if (piece == w->slow && phase % 50 == 0) usleep(300);
    w->now[(phase + 1) % 2][piece] =
        before[piece] * 5 + before[(piece + 1) % w->pieces] * 3 + (unsigned)(phase + piece);
    atomic_fetch_add(&w->done, 1);
}

/* The value of each piece depends on those of its neighbours in all phases before: so any that began too early, or twice,
 * or not at all, shows in the end. One piece is slow now and then, so that others help. */
START_TEST(phases_follow_each_other_whatever_the_number_of_workers)
{
    enum { PHASES = 400 };
    const int pieces[] = { 1, 2, 3, 7, 8, 64 };
    for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++) {
        walk expected = { .pieces = pieces[k], .slow = -1 };
        for (int phase = 0; phase < PHASES; phase++)
            for (int piece = 0; piece < pieces[k]; piece++) walk_on(&expected, phase, piece);
        for (int threads = 1; threads <= 8; threads++) {
            tg_context *cx = context_of(threads);
            for (int round = 0; round < 5; round++) {
                walk w = { .pieces = pieces[k], .slow = round ? round - 1 : -1 };
                tg__team_phases(cx, PHASES, pieces[k], walk_on, &w);
                ck_assert_int_eq(w.done, PHASES * pieces[k]);
                ck_assert(!memcmp(w.now, expected.now, sizeof w.now));
            }
            tg_context_free(cx);
        }
    }
}
END_TEST

START_TEST(pieces_cover_everything_evenly)
{
    for (int64_t n = 1; n < 300; n++)
        for (int most = 1; most < 40; most += 3) {
            const int pieces = tg__pieces(n, most);
            ck_assert_int_eq(tg__piece_start(n, pieces, 0), 0);
            ck_assert_int_eq(tg__piece_start(n, pieces, pieces), n);
            for (int k = 0; k < pieces; k++) {
                const int64_t size = tg__piece_start(n, pieces, k + 1) - tg__piece_start(n, pieces, k);
                ck_assert(size >= 1 && size <= most && size >= n / pieces && size <= n / pieces + 1);
            }
        }
}
END_TEST

TG_TEST_MAIN("core/team", every_piece_is_done_once_whatever_the_number_of_workers,
             run_by_fewer_threads_uses_no_more_than_these, many_small_runs_with_pauses_lose_nothing,
             denormals_are_flushed_inside_and_the_callers_mode_is_restored,
             phases_follow_each_other_whatever_the_number_of_workers, pieces_cover_everything_evenly)
