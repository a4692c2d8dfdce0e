/* core/team.c -- see team.h. Workers take pieces from atomic counters; they wait by spinning first, then by
 * sleeping. */
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

/* Waits a moment for another worker, for the k-th time. The processor is yielded only after some tens of
 * microseconds, by when other workers have normally arrived: on a busy machine it takes milliseconds to get
 * it back. */
static void wait_a_moment(int k)
{
    enum { SPINS = 4096 };
    pause_briefly();
    if (k % SPINS == 0) sched_yield(); /* the worker we wait for may need this core */
}

enum { CACHE_LINE = 64 };

/* Number 0 is the caller. Each worker has a range of the pieces of a job. In jobs of the same size it has the
 * same range, so its cache still has their data. A worker that has done its own range takes pieces from the
 * others'. */
typedef struct team_worker {
    _Alignas(CACHE_LINE) atomic_int next; /* piece; on a cache line of its own, against false sharing */
    int end, number;
    team *team;
    pthread_t thread;
} team_worker;

/* The caller opens a job by making `job` even, and closes it by making it odd. A worker first increments
 * `inside`, then reads `job`, and takes pieces if it is even. After closing a job, the caller waits until
 * `inside` is 0 before it changes the members below for the next one. So nobody waits for a worker that is
 * late or asleep. */
struct team {
    tg_context *cx;
    int forks;   /* the value of `forks` when the threads were started: a child process does not have them */
    int workers; /* including the caller */
    int in_job;  /* workers 0 ... in_job-1 take part in this job */
    team_worker *worker;
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
        team_worker *w = &t->worker[(number + k) % t->in_job];
        for (int piece; (piece = atomic_fetch_add(&w->next, 1)) < w->end; done++) t->work(t->argument, piece);
    }
    if (!done) return;
    atomic_fetch_or(&t->worked, (uint_least64_t)1 << (number & 63));
    atomic_fetch_add(&t->done, done);
}

/* Waits for a job other than `seen`: spins for about 50 us, then sleeps. */
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
    team_worker *w = argument;
    team *t = w->team;
    flush_denormals();
    for (unsigned seen = 1; !atomic_load(&t->quit);) {
        wait_for_job(t, seen);
        atomic_fetch_add(&t->inside, 1);
        seen = atomic_load(&t->job);
        if (seen % 2 == 0) {
            do_pieces(t, w->number);
            atomic_fetch_sub(&t->inside, 1);
            /* no piece is left: wait until the job is closed, then for the next one */
            for (int k = 1; atomic_load(&t->job) == seen && !atomic_load(&t->quit); k++) wait_a_moment(k);
            seen++;
        } else {
            atomic_fetch_sub(&t->inside, 1);
        }
    }
    return NULL;
}

/* The number of forks between the process that started the first team and this one. Comparing getpid() would
 * be a system call for each job. _Fork() and clone() called directly are not noticed. */
static int forks;
static void count_fork(void) { forks++; }
static void watch_team_forks(void) { pthread_atfork(NULL, NULL, count_fork); }

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

/* Signals are blocked in the threads: they are for the threads of the program. */
static void team_start(team *t, int threads)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    sigset_t all, before;
    pthread_once(&once, watch_team_forks);
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
        team_worker *w = &t->worker[t->workers];
        w->team = t;
        w->number = t->workers;
        if (pthread_create(&w->thread, NULL, worker_main, w)) break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Cannot fail: with fewer threads than wanted, or none, work is slower, and the result the same. */
static team *team_of(tg_context *cx)
{
    if (cx->threads < 2) return NULL;
    team *t = cx->team;
    const size_t workers = (size_t)cx->threads;
    if (t && t->forks == forks) return t;
    if (!t) {
        if (cx->status) return NULL;
        t = cx->config.allocate(cx->config.allocator_user,
                                sizeof *t + CACHE_LINE + workers * sizeof(team_worker));
        if (!t) return NULL;
        memset(t, 0, sizeof *t);
        t->cx = cx;
        char *room = (char *)(t + 1);
        t->worker = (team_worker *)(void *)(room + (CACHE_LINE - (uintptr_t)room % CACHE_LINE));
        memset(t->worker, 0, workers * sizeof(team_worker));
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

typedef struct range_job {
    void (*work)(void *, size_t, size_t);
    void *argument;
    int64_t n;
    int pieces;
} range_job;

static void do_range(void *argument, int piece)
{
    const range_job *r = argument;
    r->work(r->argument, (size_t)tg__piece_start(r->n, r->pieces, piece),
            (size_t)tg__piece_start(r->n, r->pieces, piece + 1));
}

void tg__team_ranges_by(tg_context *cx, int threads, size_t n, size_t most,
                        void (*work)(void *, size_t, size_t), void *argument)
{
    const int pieces = tg__pieces((int64_t)n, (int64_t)most);
    tg__team_run_by(cx, threads, pieces, do_range, &(range_job){ work, argument, (int64_t)n, pieces });
}

void tg__team_ranges(tg_context *cx, size_t n, size_t most, void (*work)(void *, size_t, size_t),
                     void *argument)
{
    tg__team_ranges_by(cx, cx->threads, n, most, work, argument);
}

/* ---- phases ----
 *
 * The pieces are divided into shares of neighbouring pieces, one for each worker. Each piece has two counters
 * of phases, on cache lines of their own: `claimed`, which a worker advances by compare-and-swap before it
 * does the piece, and `finished`. So any worker may do a piece that nobody has claimed. */

typedef struct piece_state {
    _Alignas(CACHE_LINE) atomic_int claimed;  /* phases that were begun */
    _Alignas(CACHE_LINE) atomic_int finished; /* phases that are done */
} piece_state;

typedef struct phased_job {
    void (*work)(void *, int, int);
    void *argument;
    int phases, pieces, shares;
    atomic_bool begun[TEAM_PIECES]; /* share k has a worker */
    int share[TEAM_PIECES];         /* of each piece */
    piece_state state[TEAM_PIECES];
} phased_job;

/* Does the piece's part of a phase, unless it was claimed already. */
static void try_piece(phased_job *p, int phase, int piece)
{
    int expected = phase;
    if (!atomic_compare_exchange_strong(&p->state[piece].claimed, &expected, phase + 1)) return;
    p->work(p->argument, phase, piece);
    atomic_store(&p->state[piece].finished, phase + 1);
}

/* Waits until all pieces of the phase are done. A piece whose share has no worker yet is done at once; one
 * whose worker is late, after some microseconds. */
static void wait_for_phase(phased_job *p, int phase)
{
    enum { PATIENCE = 256 };
    for (int piece = 0; piece < p->pieces; piece++)
        for (int k = 1; atomic_load(&p->state[piece].finished) <= phase; k++) {
            if (k == 1 ? !atomic_load(&p->begun[p->share[piece]]) : k % PATIENCE == 0)
                try_piece(p, phase, piece);
            wait_a_moment(k);
        }
}

static void run_share(void *argument, int share)
{
    phased_job *p = argument;
    const int first = (int)tg__piece_start(p->pieces, p->shares, share),
              end = (int)tg__piece_start(p->pieces, p->shares, share + 1);
    atomic_store(&p->begun[share], true);
    for (int phase = 0; phase < p->phases; phase++) {
        for (int piece = first; piece < end; piece++) try_piece(p, phase, piece);
        wait_for_phase(p, phase);
    }
}

void tg__team_phases_by(tg_context *cx, int threads, int phases, int pieces, void (*work)(void *, int, int),
                        void *argument)
{
    assert(pieces <= TEAM_PIECES);
    phased_job p = { .work = work, .argument = argument, .phases = phases, .pieces = pieces };
    p.shares = threads < pieces ? threads : pieces;
    for (int share = 0; share < p.shares; share++)
        for (int64_t k = tg__piece_start(pieces, p.shares, share);
             k < tg__piece_start(pieces, p.shares, share + 1); k++)
            p.share[k] = share;
    tg__team_run_by(cx, threads, p.shares, run_share, &p);
}

void tg__team_phases(tg_context *cx, int phases, int pieces, void (*work)(void *, int, int), void *argument)
{
    tg__team_phases_by(cx, cx->threads, phases, pieces, work, argument);
}
