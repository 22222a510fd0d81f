/*
 * Load that a member reports with its answers: the endpoint-load-metrics header of ORCA (Open
 * Request Cost Aggregation) in its text form, as Envoy and gRPC's services send it:
 * "TEXT application_utilization=0.6, rps_fractional=120.5, eps=1".
 */
#ifndef WEIR_SRC_GATEWAY_ORCA_H
#define WEIR_SRC_GATEWAY_ORCA_H

#include <weir/balancer.h>
#include <weir/http.h>

#define WEIR__ORCA_HEADER "endpoint-load-metrics"

/* False if it is not well formed; what it does not tell is 0. */
bool weir__orca_parse(weir_http_slice text, weir_load_report *report);

#endif
