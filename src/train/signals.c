/* train/signals.c -- the library's one place that installs signal handlers, and only when asked.
 *
 * The handler sets a flag, which the loop looks at between steps. After that a SIGINT or a SIGTERM has its
 * default action again, so that a second request from a person ends the process at once. The others may
 * arrive more than once although nobody asked twice: a terminal that is closed sends SIGHUP from the kernel and
 * from the shell, and SIGXCPU comes every second. A signal that the process ignores stays ignored: nohup
 * ignores SIGHUP, a shell script ignores SIGINT in its background jobs.                            */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "train/driver.h"

static const struct {
    int number;
    const char *name;
    bool second_kills;
} watched[] = {
    { SIGINT, "SIGINT", true },    { SIGTERM, "SIGTERM", true },  { SIGHUP, "SIGHUP", false },
    { SIGUSR1, "SIGUSR1", false }, { SIGXCPU, "SIGXCPU", false },
};
enum { WATCHED = sizeof watched / sizeof *watched };

static atomic_int caught; /* lock-free, so a handler may write it, on whatever thread it runs */
static atomic_flag in_use = ATOMIC_FLAG_INIT;
static struct sigaction before[WATCHED];

static void restore_default(int number)
{
    struct sigaction standard;
    memset(&standard, 0, sizeof standard);
    standard.sa_handler = SIG_DFL;
    sigemptyset(&standard.sa_mask);
    sigaction(number, &standard, NULL);
}

static void remember(int number)
{
    const int error = errno;
    int none = 0;
    atomic_compare_exchange_strong(&caught, &none, number);
    for (int i = 0; i < WATCHED; i++)
        if (watched[i].second_kills) restore_default(watched[i].number);
    errno = error;
}

tg_status tg__signals_catch(tg_context *cx)
{
    if (atomic_flag_test_and_set(&in_use))
        return tg_context_note(
            cx, TG_ERR_STATE,
            "tg_train: catch_signals: another training in this process catches them already");
    atomic_store(&caught, 0);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = remember;
    action.sa_flags = SA_RESTART; /* no write of ours or of a callback ends with EINTR */
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < WATCHED; i++) sigaddset(&action.sa_mask, watched[i].number);
    for (int i = 0; i < WATCHED; i++) {
        sigaction(watched[i].number, NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) sigaction(watched[i].number, &action, NULL);
    }
    return TG_OK;
}

int tg__signals_caught(void) { return atomic_load(&caught); }

int tg__signals_release(void)
{
    for (int i = 0; i < WATCHED; i++) sigaction(watched[i].number, &before[i], NULL);
    const int number = atomic_exchange(&caught, 0);
    atomic_flag_clear(&in_use);
    return number;
}

const char *tg__signal_name(int number)
{
    for (int i = 0; i < WATCHED; i++)
        if (watched[i].number == number) return watched[i].name;
    return "a signal";
}
