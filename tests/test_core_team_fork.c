/* The thread team in a child of a process whose team has worked: its threads are gone. */
#include <stdatomic.h>
#include <sys/wait.h>
#include <tidegate/tidegate.h>
#include <unistd.h>

#include "check_main.h"
#include "core/team.h"
#include "workers.h"

static void count_piece(void *argument, int piece)
{
    (void)piece;
    atomic_fetch_add((atomic_int *)argument, 1);
}

START_TEST(team_works_again_after_a_fork)
{
    tg_context *cx = context_of_workers(4, 0);
    atomic_int n = 0;
    tg__team_run(cx, 100, count_piece, &n);
    const pid_t child = fork();
    if (!child) {
        atomic_int m = 0;
        for (int k = 0; k < 100; k++) tg__team_run(cx, 100, count_piece, &m);
        tg_context_free(cx);
        _exit(m == 10000 ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    tg__team_run(cx, 100, count_piece, &n);
    ck_assert_int_eq(n, 200);
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("core/team after a fork", team_works_again_after_a_fork)
