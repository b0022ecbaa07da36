// Restricted Boltzmann machines for ratings: see hintoncore.h for what the functions compute.
#pragma once

#include "cpu/kernels.h"

namespace hc {

CfModel cf_model(const hc_cf_model& m);
// Ratings of the user in row u.
CfRatings cf_ratings(const hc_cf_ratings& r, int64_t u);
uint64_t cf_sample(const hc_cf_ratings& r, int64_t u);

void cf_hidden(const hc_cf_hidden_args& p);
void cf_visible(const hc_cf_visible_args& p);
void cf_conditional(const hc_cf_conditional_args& p, float* pull /* [n_users, n_hidden] or null, set */);
hc_cf_stats cf_update(const hc_cf_update_args& p);
void cf_settle(const hc_cf_settle_args& p);

}  // namespace hc
