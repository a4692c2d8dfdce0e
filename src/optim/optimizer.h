/* optim/optimizer.h -- what an update rule is, and what a checkpoint needs of an optimizer.
 *
 * A rule is data: names, settings with their defaults and bounds, and a loop over a piece of the flat block.
 * A new rule is a file with such a struct, its constructor, and a row in optimizer.c.                  */
#ifndef OPTIM_OPTIMIZER_H
#define OPTIM_OPTIMIZER_H

#include <math.h>

#include <tidegate/optimizer.h>

#include "params/params.h"

enum { OPTIMIZER_MOST_MOMENTS = 2, OPTIMIZER_MOST_SETTINGS = 4 };

typedef struct optimizer_setting {
    const char *name;
    double standard;                              /* if none is given */
    enum { ANY_SIZE, BELOW_ONE, POSITIVE } bound; /* finite and not negative is what all must be */
} optimizer_setting;

/* What a rule's loop is given for one parameter block. */
typedef struct optimizer_update {
    tg_real rate;           /* lr times the block's rate_scale */
    tg_real decay;          /* weight_decay, or 0 for a block without */
    const tg_real *setting; /* in the rule's order */
    int64_t t;              /* of this step, from 1 */
} optimizer_update;

/* Moves p (n) by the gradients g (n), updates the moments (n each), and sets g to 0. */
typedef void optimizer_loop(const optimizer_update *u, size_t n, tg_real *p, tg_real *g,
                            tg_real *const moment[OPTIMIZER_MOST_MOMENTS]);

typedef struct optimizer_rule {
    const char *name;
    double rate;                                            /* if none is given */
    const char *moment[OPTIMIZER_MOST_MOMENTS + 1];         /* names, up to a NULL */
    optimizer_setting setting[OPTIMIZER_MOST_SETTINGS + 1]; /* up to a NULL; weight_decay is the first */
    optimizer_loop *update;
    enum { NO_SUMS, SUMS, SUMS_OF_SQUARES } keeps; /* of gradients, in its moments: none may overflow */
} optimizer_rule;

extern const optimizer_rule tg__sgd, tg__sgd_momentum, tg__sgd_nesterov, tg__adam, tg__adamw, tg__rmsprop,
    tg__rmsprop_momentum;

/* An optimizer by that rule. ps may be NULL. 0 is the rule's default, TG_ZERO is 0. Never NULL. */
tg_optimizer *tg__optimizer_new(tg_params *ps, const char *who, const optimizer_rule *rule, tg_real lr,
                                const tg_real setting[]);

/* What was given for a setting, with 0 and TG_ZERO resolved. */
static inline tg_real tg__setting(tg_real given, double standard)
{
    return given == 0 ? (tg_real)standard : given == TG_ZERO ? 0 : given;
}

/* The square root in the library's precision. */
static inline tg_real tg__sqrt(tg_real x)
{
#if TG_DOUBLE
    return sqrt(x);
#else
    return sqrtf(x);
#endif
}

/* Are these settings of a schedule? If not, the message says which is wrong, and is. */
tg_status tg__schedule_check(tg_context *cx, const char *who, const tg_schedule *s);

/* ---- for the training driver: schedule.c ---- */

enum { TG__PLATEAU_PATIENCE = 2 }; /* if none is given */

/* Takes over what the driver's memory of a schedule is; the settings of `s` stay. */
void tg__schedule_recall(tg_schedule *s, const tg_schedule *memory);
bool tg__schedule_is_periodic(const tg_schedule *s);           /* STEP, EXPONENTIAL, COSINE */
bool tg__schedule_has_ended(const tg_schedule *s, int64_t at); /* a cosine that is at its minimum for good */
/* Lets `s`, the settings of a run that goes on after `at` steps, follow on from `old`, its schedule so far:
 * takes over the memory and, where the period or the warm-up is another one, goes on from the periods that
 * have passed; a cosine then reaches its minimum at step `end`. Another kind begins anew, and so does a
 * cosine that has ended if it is given another rate. True: the pace has changed. */
bool tg__schedule_follow(tg_schedule *s, const tg_schedule *old, int64_t at, int64_t end);

/* ---- for checkpoints ---- */

int tg__optimizer_moments(const tg_optimizer *o); /* how many flat blocks of moments */
const char *tg__optimizer_moment_name(const tg_optimizer *o, int k);
tg_real *tg__optimizer_moment(tg_optimizer *o, int k); /* (ps->flat); NULL: the context failed */
int tg__optimizer_settings(const tg_optimizer *o);
const char *tg__optimizer_setting_name(const tg_optimizer *o, int k);
double tg__optimizer_setting(const tg_optimizer *o, int k);
void tg__optimizer_restore(tg_optimizer *o, int64_t steps, double lr); /* after the moments were written */
tg_params *tg__optimizer_params(const tg_optimizer *o);

#endif
