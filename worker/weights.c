/* Weights: one pass to pay, one winner. Credits stay within the sum of all
 * weights, since what is paid out each turn is taken back from one entry. */
#include "weights.h"

size_t
weights_next(struct weight *weights, size_t n)
{
    size_t best = n;
    int64_t total = 0;

    for (size_t i = 0; i < n; i++) {
        if (!weights[i].eligible)
            continue;
        weights[i].credit += weights[i].weight;
        total += weights[i].weight;
        if (best == n || weights[i].credit > weights[best].credit)
            best = i;
    }
    if (best < n)
        weights[best].credit -= total;
    return best;
}
