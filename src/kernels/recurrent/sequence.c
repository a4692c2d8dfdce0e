/* kernels/recurrent/sequence.c -- see sequence.h. */
#include "kernels/recurrent/sequence.h"

#include <string.h>

#include "core/clones.h"
#include "core/team.h"

size_t tg__sequence_room(int T, int B) { return (size_t)B + 3 * ((size_t)T + 1); }

static batch_shard shard_of(const sequence *s, int k, const int *token)
{
    const int first = s->full ? (int)tg__piece_start(s->B, s->shards, k) : k,
              next = (int)tg__piece_start(s->B, s->shards, k + 1);
    return (batch_shard){ .rows = s->full ? next - first : tg__pieces(s->B - k, s->shards),
                          .first = first,
                          .apart = s->full ? 1 : s->shards,
                          .token = token };
}

size_t tg__sequence_cut_room(const sequence *s, int shards)
{
    return (size_t)shards * ((size_t)s->steps + 1);
}

sequence tg__sequence_cut(const sequence *s, int shards, int *token)
{
    sequence cut = *s;
    cut.shards = shards;
    for (int k = 0, at = 0; k < shards; k++, token += s->steps + 1) {
        cut.shard[k] = shard_of(&cut, k, token);
        for (int t = 0; t < s->steps; t++) {
            token[t] = at;
            at += s->full ? cut.shard[k].rows : tg__pieces(s->active[t] - k, shards);
        }
        token[s->steps] = at;
    }
    return cut;
}

/* A counting sort by falling length; rows of equal length keep their order. */
void tg__sequence_init(sequence *s, int T, int B, const int *lengths, int *room)
{
    int *order = room, *active = room + B, *offset = active + T + 1;
    *s = (sequence){ .T = T, .B = B, .full = true, .order = order, .active = active, .offset = offset };
    for (int b = 0; b < B && lengths; b++)
        if (lengths[b] != T) s->full = false;
    if (s->full) {
        for (int b = 0; b < B; b++) order[b] = b;
        for (int t = 0; t <= T; t++) active[t] = t < T ? B : 0, offset[t] = t * B;
        s->steps = T, s->tokens = T * B;
        *s = tg__sequence_cut(s, 1, offset + T + 1);
        return;
    }
    /* active[t] = rows longer than t; it is also where the rows of length t start in the order */
    memset(active, 0, ((size_t)T + 1) * sizeof *active);
    for (int b = 0; b < B; b++)
        if (lengths[b] > 0) active[lengths[b] - 1]++;
    for (int t = T - 1; t >= 0; t--) active[t] += active[t + 1];
    memcpy(offset, active, ((size_t)T + 1) * sizeof *offset);
    for (int b = 0; b < B; b++) order[offset[lengths[b]]++] = b;
    for (int t = 0, at = 0; t <= T; at += active[t], t++) offset[t] = at;
    while (s->steps < T && active[s->steps]) s->steps++;
    s->tokens = offset[s->steps];
    *s = tg__sequence_cut(s, 1, offset + T + 1);
}

/* ---- shards ---- */

bool tg__sequence_next_run(batch_shard p, int *token, int end, token_run *run)
{
    if (*token >= end) return false;
    while (p.token[run->t + 1] <= *token) run->t++;
    run->row = *token - p.token[run->t];
    *token = p.token[run->t + 1] < end ? p.token[run->t + 1] : end;
    run->rows = *token - p.token[run->t] - run->row;
    return true;
}

static size_t packed_row(const sequence *s, batch_shard p, token_run run, int D)
{
    return ((size_t)s->offset[run.t] + (size_t)p.first + (size_t)run.row * (size_t)p.apart) * (size_t)D;
}

void tg__sequence_gather(const sequence *s, batch_shard p, int first, int end, int D, const tg_real *x,
                         tg_real *to)
{
    const size_t width = (size_t)D, apart = width * (size_t)p.apart;
    for (token_run run = { 0 }; tg__sequence_next_run(p, &first, end, &run);) {
        const tg_real *from = x + packed_row(s, p, run, D);
        for (int i = 0; i < run.rows; i++, from += apart, to += width) memcpy(to, from, width * sizeof *to);
    }
}

CLONED static void add_row(size_t n, const tg_real *restrict from, tg_real *restrict to)
{
    for (size_t j = 0; j < n; j++) to[j] += from[j];
}

void tg__sequence_scatter(const sequence *s, batch_shard p, int first, int end, int D, const tg_real *from,
                          bool add, tg_real *x)
{
    const size_t width = (size_t)D, apart = width * (size_t)p.apart;
    for (token_run run = { 0 }; tg__sequence_next_run(p, &first, end, &run);) {
        tg_real *to = x + packed_row(s, p, run, D);
        for (int i = 0; i < run.rows; i++, to += apart, from += width)
            if (add)
                add_row(width, from, to);
            else
                memcpy(to, from, width * sizeof *to);
    }
}

typedef struct move {
    const sequence *s;
    int D, pieces;
    const tg_real *from;
    tg_real *to;
    bool add;
    const tg_real *first;
} move;

static const tg_real *plain_row(const sequence *s, int D, const tg_real *x, int t, int i)
{
    return x + ((size_t)t * (size_t)s->B + (size_t)s->order[i]) * (size_t)D;
}

static void pack_piece(void *argument, int piece)
{
    const move *m = argument;
    const sequence *s = m->s;
    for (int t = (int)tg__piece_start(s->steps, m->pieces, piece);
         t < (int)tg__piece_start(s->steps, m->pieces, piece + 1); t++)
        for (int i = 0; i < s->active[t]; i++)
            memcpy(m->to + ((size_t)s->offset[t] + (size_t)i) * (size_t)m->D,
                   plain_row(s, m->D, m->from, t, i), (size_t)m->D * sizeof *m->to);
}

static void unpack_piece(void *argument, int piece)
{
    const move *m = argument;
    const sequence *s = m->s;
    for (int t = (int)tg__piece_start(s->T, m->pieces, piece);
         t < (int)tg__piece_start(s->T, m->pieces, piece + 1); t++)
        for (int i = 0; i < s->B; i++) {
            tg_real *y = m->to + ((size_t)t * (size_t)s->B + (size_t)s->order[i]) * (size_t)m->D;
            const bool real = t < s->steps && i < s->active[t];
            const tg_real *x = real ? m->from + ((size_t)s->offset[t] + (size_t)i) * (size_t)m->D : NULL;
            if (m->add)
                for (int j = 0; real && j < m->D; j++) y[j] += x[j];
            else if (real)
                memcpy(y, x, (size_t)m->D * sizeof *y);
            else
                memset(y, 0, (size_t)m->D * sizeof *y);
        }
}

void tg__sequence_pack(tg_context *cx, const sequence *s, int D, const tg_real *x, tg_real *packed)
{
    move m = { s, D, tg__pieces(s->steps, 8), x, packed, false, NULL };
    tg__team_run(cx, m.pieces, pack_piece, &m);
}

void tg__sequence_unpack(tg_context *cx, const sequence *s, int D, const tg_real *packed, tg_real *y)
{
    move m = { s, D, tg__pieces(s->T, 8), packed, y, false, NULL };
    tg__team_run(cx, m.pieces, unpack_piece, &m);
}

void tg__sequence_add_unpacked(tg_context *cx, const sequence *s, int D, const tg_real *packed, tg_real *y)
{
    move m = { s, D, tg__pieces(s->T, 8), packed, y, true, NULL };
    tg__team_run(cx, m.pieces, unpack_piece, &m);
}

static void before_piece(void *argument, int piece)
{
    const move *m = argument;
    const sequence *s = m->s;
    const size_t D = (size_t)m->D;
    for (int t = (int)tg__piece_start(s->steps, m->pieces, piece);
         t < (int)tg__piece_start(s->steps, m->pieces, piece + 1); t++) {
        tg_real *to = m->to + (size_t)s->offset[t] * D;
        const size_t n = (size_t)s->active[t] * D;
        const tg_real *from = t ? m->from + (size_t)s->offset[t - 1] * D : m->first;
        if (from)
            memcpy(to, from, n * sizeof *to);
        else
            memset(to, 0, n * sizeof *to);
    }
}

void tg__sequence_before(tg_context *cx, const sequence *s, int D, const tg_real *packed,
                         const tg_real *first, tg_real *before)
{
    move m = {
        .s = s, .D = D, .pieces = tg__pieces(s->steps, 8), .from = packed, .to = before, .first = first
    };
    tg__team_run(cx, m.pieces, before_piece, &m);
}

void tg__sequence_order_rows(const sequence *s, int D, const tg_real *x, tg_real *ordered)
{
    for (int i = 0; i < s->B; i++)
        memcpy(ordered + (size_t)i * (size_t)D, x + (size_t)s->order[i] * (size_t)D, (size_t)D * sizeof *x);
}

void tg__sequence_restore_rows(const sequence *s, int D, const tg_real *ordered, tg_real *x)
{
    for (int i = 0; i < s->B; i++)
        memcpy(x + (size_t)s->order[i] * (size_t)D, ordered + (size_t)i * (size_t)D, (size_t)D * sizeof *x);
}

void tg__sequence_add_restored_rows(const sequence *s, int D, const tg_real *ordered, tg_real *x)
{
    for (int i = 0; i < s->B; i++)
        for (int j = 0; j < D; j++)
            x[(size_t)s->order[i] * (size_t)D + (size_t)j] += ordered[(size_t)i * (size_t)D + (size_t)j];
}
