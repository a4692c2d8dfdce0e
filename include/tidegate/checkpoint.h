/* tidegate/checkpoint.h -- everything that training needs to go on, in one sealed HDF5 file.
 *
 * The file is built in memory, sealed with a digest (XXH64, in the 4096-byte user block), written to
 * "<path>.part", synced, and renamed over path: a crash leaves the old file or the new one, never
 * half of one. h5dump and h5py read it. docs/checkpoint.md describes it byte by byte.         */
#ifndef TIDEGATE_CHECKPOINT_H
#define TIDEGATE_CHECKPOINT_H

#include "archive.h"
#include "optimizer.h"
#include "rnn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where training stands. */
typedef struct tg_progress {
    int64_t step;     /* steps taken, skipped ones included */
    int64_t epoch;    /* epochs completed */
    int64_t position; /* batches taken in the epoch that has begun */
    int64_t skipped;  /* steps refused because a number was not finite */
    int bad_streak;   /* of them in a row, up to now */

    bool validated;    /* the next four mean something */
    double best;       /* lowest validation loss */
    int64_t best_step; /* where it was */
    int waited;        /* validations since */
    double last_valid;

    double sum_loss, sum_units, sum_norm; /* since the last row of metrics.csv */
    int64_t sum_steps;
} tg_progress;

/* What a checkpoint holds. NULL members are left out of a save, and alone by a load. */
typedef struct tg_checkpoint {
    tg_params *params;
    tg_optimizer *optimizer;
    tg_schedule *schedule;
    tg_state *states; /* carried states */
    int n_states;     /* 0 with states set: 1 */
    tg_progress *progress;
    const char *task;       /* "custom" when NULL; "translate", ... for the program's own */
    const tg_archive *also; /* saved beside: "model/...", "vocabulary/...", what you like. A load
                             * leaves it alone: tg_checkpoint_read() and look. */
    bool keep_previous;     /* the old file stays, as "<path>.1" */
    bool allow_nonfinite;   /* default: parameters, moments and states that are not finite are refused both
                             * ways */
} tg_checkpoint;

/* Saves, durably: after TG_OK the file survives a power cut. On failure the old file is untouched. */
TG_API tg_status tg_checkpoint_save(const char *path, const tg_checkpoint *c) TG_MUST_CHECK;

/* All matches, by name, type and shape, or nothing changes; the message names the dataset and both
 * shapes. TG_ERR_ABSENT: no file; TG_ERR_IO: it cannot be read; TG_ERR_DAMAGED: the seal is broken;
 * TG_ERR_VERSION: of a newer format; TG_ERR_FORMAT: not a checkpoint, of another precision, with counts out
 * of range, or something is missing, of another type, or too much: the moments must be exactly those of the
 * optimizer; TG_ERR_SHAPE: another shape; TG_ERR_NUMBER: a parameter, moment or state is not finite, or a
 * second moment negative; TG_ERR_STATE: another seed, or parameters that are shared. */
TG_API tg_status tg_checkpoint_load(const char *path, const tg_checkpoint *c) TG_MUST_CHECK;

/* In two halves, for those who must look inside before they can build the model. */
TG_API tg_status tg_checkpoint_read(tg_context *cx, const char *path, tg_archive **a) TG_MUST_CHECK;
TG_API tg_status tg_checkpoint_restore(const tg_archive *a, const tg_checkpoint *c) TG_MUST_CHECK;

/* Is the seal whole and the content readable? */
TG_API tg_status tg_checkpoint_verify(tg_context *cx, const char *path) TG_MUST_CHECK;
/* Makes the seal anew, after an edit by hand. The content must be readable, and the rest of the header whole. That the content
 * was edited, not damaged, is for the caller to know. It is read by HDF5, which may crash on damage: where that matters, call
 * this in a process of its own. */
TG_API tg_status tg_checkpoint_seal(tg_context *cx, const char *path) TG_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
