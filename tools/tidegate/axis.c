/* tools/tidegate/axis.c -- see axis.h. Labels are made of whole numbers, so that no locale changes them. */
#include "axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- ranges ---- */

/* The smallest of 1, 2 and 5 times a power of ten that is not below x > 0 (Heckbert, "Nice numbers for graph
 * labels", Graphics Gems, 1990). */
static double nice_above(double x)
{
    const double power = pow(10, floor(log10(x))), digit = x / power;
    return (digit <= 1 + 1e-9 ? 1 : digit <= 2 + 1e-9 ? 2 : digit <= 5 + 1e-9 ? 5 : 10) * power;
}

axis axis_linear(double smallest, double largest, int ticks)
{
    const double size = fmax(fabs(smallest), fabs(largest));
    const bool flat = largest - smallest <= 1e-6 * size;
    if (flat) largest += 0.25 * fabs(largest); /* room above a level line */
    if (size == 0) largest = 1;
    if (smallest > 0 && (flat || smallest < 0.4 * largest)) smallest = 0;
    if (largest < 0 && (flat || largest > 0.4 * smallest)) largest = 0;
    axis a = { .step = nice_above((largest - smallest) / ticks) };
    a.min = floor(smallest / a.step + 1e-9) * a.step;
    a.max = ceil(largest / a.step - 1e-9) * a.step;
    return a;
}

axis axis_log(double smallest, double largest)
{
    axis a = { .log = true };
    a.max = nice_above(largest);
    a.min = 1 / nice_above(1 / smallest); /* 1, 2 and 5 are their own reciprocals, by a power of ten */
    if (a.max / a.min < 2) a.min /= 2, a.max *= 2;
    const double decades = log10(a.max / a.min);
    a.step = decades <= 3.1 ? 0 : ceil(decades / 8);
    return a;
}

/* ---- ticks ---- */

static int add_tick(const axis *a, double tick, int n, double to[])
{
    const double margin = a->log ? tick * 1e-6 : a->step * 1e-6;
    if (n < AXIS_MOST_TICKS && tick >= a->min - margin && tick <= a->max + margin) to[n++] = tick;
    return n;
}

int axis_ticks(const axis *a, double tick[AXIS_MOST_TICKS])
{
    static const double digits[] = { 1, 2, 5 };
    int n = 0;
    if (!a->log) {
        const double first = ceil(a->min / a->step - 1e-6);
        for (int i = 0; i < AXIS_MOST_TICKS; i++) n = add_tick(a, (first + i) * a->step, n, tick);
        return n;
    }
    const int first = (int)floor(log10(a->min) + 1e-9), last = (int)floor(log10(a->max) + 1e-9);
    for (int decade = first; decade <= last; decade += a->step > 0 ? (int)a->step : 1)
        for (int k = 0; k < (a->step > 0 ? 1 : 3); k++) n = add_tick(a, digits[k] * pow(10, decade), n, tick);
    return n;
}

double axis_at(const axis *a, double value)
{
    const double share =
        a->log ? log(value / a->min) / log(a->max / a->min) : (value - a->min) / (a->max - a->min);
    return isfinite(share) ? a->from + share * (a->to - a->from) : (double)NAN;
}

/* ---- labels ---- */

/* x with so many decimals, a comma after thousands, a true minus sign. |x| < 1e9, decimals <= 9. */
static int put_fixed(double x, int decimals, char *to, size_t bytes)
{
    const double power = pow(10, decimals);
    const long long all = llround(fabs(x) * power), unit = (long long)power, whole = all / unit;
    const char *minus = x < 0 && all ? "\xE2\x88\x92" : "";
    int n;
    if (whole < 1000)
        n = snprintf(to, bytes, "%s%lld", minus, whole);
    else if (whole < 1000000)
        n = snprintf(to, bytes, "%s%lld,%03lld", minus, whole / 1000, whole % 1000);
    else
        n = snprintf(to, bytes, "%s%lld,%03lld,%03lld", minus, whole / 1000000, whole / 1000 % 1000,
                     whole % 1000);
    if (decimals) n += snprintf(to + n, bytes - (size_t)n, ".%0*lld", decimals, all % unit);
    return n;
}

/* x as "2.5·10⁻⁷", or "10⁻⁷". */
static void put_power(double x, int decimals, char text[AXIS_LABEL])
{
    static const char *const superscript[] = { "⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹" };
    int power = (int)floor(log10(fabs(x)) + 1e-9), n = 0;
    const double digits = x / pow(10, power);
    if (fabs(digits - 1) > 1e-6) {
        n = put_fixed(digits, decimals, text, AXIS_LABEL);
        n += snprintf(text + n, AXIS_LABEL - (size_t)n, "·");
    }
    snprintf(text + n, AXIS_LABEL - (size_t)n, "10%s%s%s", power < 0 ? "⁻" : "",
             power <= -10 || power >= 10 ? superscript[(power < 0 ? -power : power) / 10 % 10] : "",
             superscript[(power < 0 ? -power : power) % 10]);
}

/* The place of the first digit: 0 for 1 to 9.99, -1 for 0.1, ... */
static int place_of(double x) { return (int)floor(log10(fabs(x)) + 1e-9); }

static int at_most_9(int decimals) { return decimals < 0 ? 0 : decimals > 9 ? 9 : decimals; }

void axis_label(const axis *a, double tick, char text[AXIS_LABEL])
{
    const double size = fmax(fabs(a->min), fabs(a->max)), smallest = a->log ? a->min : a->step;
    const bool power = smallest < 1e-5 || size >= 1e7;
    const int last = place_of(a->log ? tick : a->step); /* the place of the last digit */
    if (tick == 0)
        strcpy(text, "0");
    else if (power)
        put_power(tick, at_most_9(place_of(tick) - last), text);
    else
        put_fixed(tick, at_most_9(-last), text, AXIS_LABEL);
}

void axis_number(double value, int digits, char text[AXIS_LABEL])
{
    const int place = value == 0 ? 0 : place_of(value);
    if (place < -4 || place > 8)
        put_power(value, digits - 1, text);
    else
        put_fixed(value, at_most_9(digits - 1 - place), text, AXIS_LABEL);
}
