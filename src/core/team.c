/* core/team.c -- a small thread team: a counter of pieces, a spin, a sleep. */
#include "core/team.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "core/context.h"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

int tg__team_cores_override;

/* ---- floating-point mode: flush denormals (FTZ and DAZ) inside kernels ---- */

#if defined(__SSE2__)
static unsigned flush_denormals(void)
{
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040);
    return mode;
}
static void restore_mode(unsigned mode) { _mm_setcsr(mode); }
static void pause_briefly(void) { _mm_pause(); }
#elif defined(__aarch64__)
static unsigned flush_denormals(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | 1u << 24));
    return (unsigned)mode;
}
static void restore_mode(unsigned mode) { __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode)); }
static void pause_briefly(void) { __asm__ volatile("yield"); }
#else
static unsigned flush_denormals(void) { return 0; }
static void restore_mode(unsigned mode) { (void)mode; }
static void pause_briefly(void) {}
#endif

/* The k-th moment of waiting for another worker. Who waits keeps the processor for some tens of microseconds, which is
 * longer than workers are apart; a processor given away comes back, on a busy machine, after milliseconds. */
static void wait_a_moment(int k)
{
    enum { SPINS = 4096 };
    pause_briefly();
    if (k % SPINS == 0) sched_yield(); /* the worker we wait for may need this core */
}

enum { CACHE_LINE = 64 };

/* Number 0 is the caller. Each has a range of a job's pieces, the same in jobs alike, so that it finds in its own
 * cache what it left there; whoever is through with it goes on with the others'. */
typedef struct worker {
    _Alignas(CACHE_LINE) atomic_int next;
    int end, number;
    team *team;
    pthread_t thread;
} worker;

/* A job is announced by a new number in `job`. Workers enter by counting themselves into `inside`,
 * and only then look whether the job is still the one they saw; the caller closes the job (odd
 * number) and waits until nobody is inside before it announces the next. So a worker that is late, or asleep, costs
 * nothing. */
struct team {
    tg_context *cx;
    int forks;   /* when the threads were started: a fork leaves them behind */
    int workers; /* with the caller */
    int in_job;  /* workers that take part in this job: numbers 0 ... in_job-1 */
    worker *worker;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_uint job; /* even: open, odd: closed */
    atomic_int inside, sleeping;
    atomic_bool quit;
    atomic_int done;
    atomic_uint_least64_t worked; /* bit k: worker k has done a piece */

    void (*work)(void *, int);
    void *argument;
};

static void do_pieces(team *t, int number)
{
    int done = 0;
    for (int k = 0; k < t->in_job && number < t->in_job; k++) {
        worker *w = &t->worker[(number + k) % t->in_job];
        for (int piece; (piece = atomic_fetch_add(&w->next, 1)) < w->end; done++) t->work(t->argument, piece);
    }
    if (!done) return;
    atomic_fetch_or(&t->worked, (uint_least64_t)1 << (number & 63));
    atomic_fetch_add(&t->done, done);
}

/* Spins for about 50 us, giving way to others now and then, and after that sleeps. */
static void wait_for_job(team *t, unsigned seen)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int k = 1; atomic_load(&t->job) == seen && !atomic_load(&t->quit); k++) {
        pause_briefly();
        if (k % 64) continue;
        clock_gettime(CLOCK_MONOTONIC, &now);
        const long us = (now.tv_sec - start.tv_sec) * 1000000L + (now.tv_nsec - start.tv_nsec) / 1000;
        if (us < 50) continue;
        pthread_mutex_lock(&t->lock);
        atomic_fetch_add(&t->sleeping, 1);
        while (atomic_load(&t->job) == seen && !atomic_load(&t->quit)) pthread_cond_wait(&t->wake, &t->lock);
        atomic_fetch_sub(&t->sleeping, 1);
        pthread_mutex_unlock(&t->lock);
        return;
    }
}

static void *worker_main(void *argument)
{
    worker *w = argument;
    team *t = w->team;
    flush_denormals();
    for (unsigned seen = 1; !atomic_load(&t->quit);) {
        wait_for_job(t, seen);
        atomic_fetch_add(&t->inside, 1);
        seen = atomic_load(&t->job);
        if (seen % 2 == 0) {
            do_pieces(t, w->number);
            atomic_fetch_sub(&t->inside, 1);
            /* This job is used up for us: wait until it is closed, then for the next. */
            for (int k = 1; atomic_load(&t->job) == seen && !atomic_load(&t->quit); k++) wait_a_moment(k);
            seen++;
        } else {
            atomic_fetch_sub(&t->inside, 1);
        }
    }
    return NULL;
}

/* How many forks lie between this process and the one that started the first team. Counted, since asking for the process'
 * number is a system call, which each job would pay for; _Fork() and clone() by hand go unnoticed. */
static int forks;
static void count_fork(void) { forks++; }
static void watch_forks(void) { pthread_atfork(NULL, NULL, count_fork); }

static void team_stop(team *t)
{
    if (t->forks == forks) {
        pthread_mutex_lock(&t->lock);
        atomic_store(&t->quit, true);
        pthread_cond_broadcast(&t->wake);
        pthread_mutex_unlock(&t->lock);
        for (int i = 1; i < t->workers; i++) pthread_join(t->worker[i].thread, NULL);
        pthread_mutex_destroy(&t->lock);
        pthread_cond_destroy(&t->wake);
    }
    t->workers = 1;
}

/* Threads of ours take no signals: those belong to the host. */
static void team_start(team *t, int threads)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    sigset_t all, before;
    pthread_once(&once, watch_forks);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    atomic_store(&t->job, 1);
    atomic_store(&t->inside, 0);
    atomic_store(&t->sleeping, 0);
    atomic_store(&t->quit, false);
    t->forks = forks;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (t->workers = 1; t->workers < threads; t->workers++) {
        worker *w = &t->worker[t->workers];
        w->team = t;
        w->number = t->workers;
        if (pthread_create(&w->thread, NULL, worker_main, w)) break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Fewer threads than wished, or none, is slower but right: nothing here fails. */
static team *team_of(tg_context *cx)
{
    if (cx->threads < 2) return NULL;
    team *t = cx->team;
    const size_t workers = (size_t)cx->threads;
    if (t && t->forks == forks) return t;
    if (!t) {
        if (cx->status) return NULL;
        t = cx->config.allocate(cx->config.allocator_user, sizeof *t + CACHE_LINE + workers * sizeof(worker));
        if (!t) return NULL;
        memset(t, 0, sizeof *t);
        t->cx = cx;
        char *room = (char *)(t + 1);
        t->worker = (worker *)(void *)(room + (CACHE_LINE - (uintptr_t)room % CACHE_LINE));
        memset(t->worker, 0, workers * sizeof(worker));
        cx->team = t;
    }
    team_start(t, cx->threads);
    return t;
}

void tg__team_free(team *t)
{
    if (!t) return;
    team_stop(t);
    t->cx->config.release(t->cx->config.allocator_user, t);
}

int tg__team_worked(const tg_context *cx)
{
    return cx->team ? __builtin_popcountll(atomic_load(&cx->team->worked)) : 1;
}

void tg__team_run_by(tg_context *cx, int threads, int pieces, void (*work)(void *, int), void *argument)
{
    const unsigned mode = flush_denormals();
    team *t = pieces > 1 && threads > 1 ? team_of(cx) : NULL;
    if (!t || t->workers < 2) {
        for (int piece = 0; piece < pieces; piece++) work(argument, piece);
        restore_mode(mode);
        return;
    }
    t->work = work;
    t->argument = argument;
    t->in_job = threads < t->workers ? threads : t->workers;
    for (int k = 0; k < t->in_job; k++) {
        atomic_store_explicit(&t->worker[k].next, (int)tg__piece_start(pieces, t->in_job, k),
                              memory_order_relaxed);
        t->worker[k].end = (int)tg__piece_start(pieces, t->in_job, k + 1);
    }
    atomic_store(&t->done, 0);
    atomic_fetch_add(&t->job, 1); /* open */
    if (atomic_load(&t->sleeping)) {
        pthread_mutex_lock(&t->lock);
        pthread_cond_broadcast(&t->wake);
        pthread_mutex_unlock(&t->lock);
    }
    do_pieces(t, 0);
    for (int k = 1; atomic_load(&t->done) < pieces; k++) wait_a_moment(k);
    atomic_fetch_add(&t->job, 1); /* close */
    for (int k = 1; atomic_load(&t->inside); k++) wait_a_moment(k);
    restore_mode(mode);
}

void tg__team_run(tg_context *cx, int pieces, void (*work)(void *, int), void *argument)
{
    tg__team_run_by(cx, cx->threads, pieces, work, argument);
}

int tg__team_limit(tg_context *cx, int workers)
{
    const int before = cx->threads;
    cx->threads = workers;
    return before;
}

typedef struct ranges {
    void (*work)(void *, size_t, size_t);
    void *argument;
    int64_t n;
    int pieces;
} ranges;

static void do_range(void *argument, int piece)
{
    const ranges *r = argument;
    r->work(r->argument, (size_t)tg__piece_start(r->n, r->pieces, piece),
            (size_t)tg__piece_start(r->n, r->pieces, piece + 1));
}

void tg__team_ranges_by(tg_context *cx, int threads, size_t n, size_t most,
                        void (*work)(void *, size_t, size_t), void *argument)
{
    const int pieces = tg__pieces((int64_t)n, (int64_t)most);
    tg__team_run_by(cx, threads, pieces, do_range, &(ranges){ work, argument, (int64_t)n, pieces });
}

void tg__team_ranges(tg_context *cx, size_t n, size_t most, void (*work)(void *, size_t, size_t),
                     void *argument)
{
    tg__team_ranges_by(cx, cx->threads, n, most, work, argument);
}

/* ---- phases ----
 *
 * A piece is claimed, then finished; both count phases, each on a cache line of its own: claims are touched by the
 * piece's worker alone, unless others give up waiting for it. */

typedef struct turn {
    _Alignas(CACHE_LINE) atomic_int claimed;  /* phases that somebody has begun, or done */
    _Alignas(CACHE_LINE) atomic_int finished; /* phases that are done */
} turn;

typedef struct phased {
    void (*work)(void *, int, int);
    void *argument;
    int phases, pieces, seats;
    atomic_bool taken[TEAM_PIECES]; /* seats at which somebody sits */
    int seat[TEAM_PIECES];          /* of a piece's worker */
    turn turn[TEAM_PIECES];
} phased;

/* Does the piece, unless somebody has begun it. */
static void take_turn(phased *p, int phase, int piece)
{
    int expected = phase;
    if (!atomic_compare_exchange_strong(&p->turn[piece].claimed, &expected, phase + 1)) return;
    p->work(p->argument, phase, piece);
    atomic_store(&p->turn[piece].finished, phase + 1);
}

/* Until all pieces of the phase are done. Whoever has not come is not waited for; whoever has may be late
 * by some microseconds, and then is helped. */
static void wait_for_phase(phased *p, int phase)
{
    enum { PATIENCE = 256 };
    for (int piece = 0; piece < p->pieces; piece++)
        for (int k = 1; atomic_load(&p->turn[piece].finished) <= phase; k++) {
            if (k == 1 ? !atomic_load(&p->taken[p->seat[piece]]) : k % PATIENCE == 0)
                take_turn(p, phase, piece);
            wait_a_moment(k);
        }
}

static void sit(void *argument, int seat)
{
    phased *p = argument;
    const int first = (int)tg__piece_start(p->pieces, p->seats, seat),
              end = (int)tg__piece_start(p->pieces, p->seats, seat + 1);
    atomic_store(&p->taken[seat], true);
    for (int phase = 0; phase < p->phases; phase++) {
        for (int piece = first; piece < end; piece++) take_turn(p, phase, piece);
        wait_for_phase(p, phase);
    }
}

void tg__team_phases_by(tg_context *cx, int threads, int phases, int pieces, void (*work)(void *, int, int),
                        void *argument)
{
    assert(pieces <= TEAM_PIECES);
    phased p = { .work = work, .argument = argument, .phases = phases, .pieces = pieces };
    p.seats = threads < pieces ? threads : pieces;
    for (int seat = 0; seat < p.seats; seat++)
        for (int64_t k = tg__piece_start(pieces, p.seats, seat);
             k < tg__piece_start(pieces, p.seats, seat + 1); k++)
            p.seat[k] = seat;
    tg__team_run_by(cx, threads, p.seats, sit, &p);
}

void tg__team_phases(tg_context *cx, int phases, int pieces, void (*work)(void *, int, int), void *argument)
{
    tg__team_phases_by(cx, cx->threads, phases, pieces, work, argument);
}
