/**
 * @file weir/weir.h
 * The whole of weir. Each header stands alone too; a program that needs one module includes that.
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <weir/address.h>
#include <weir/admin.h>
#include <weir/balancer.h>
#include <weir/base.h>
#include <weir/breaker.h>
#include <weir/caller.h>
#include <weir/config.h>
#include <weir/gateway.h>
#include <weir/health.h>
#include <weir/http.h>
#include <weir/instrument.h>
#include <weir/kv.h>
#include <weir/limiter.h>
#include <weir/loop.h>
#include <weir/mesh.h>
#include <weir/metrics.h>
#include <weir/otlp.h>
#include <weir/outlier.h>
#include <weir/probe_http.h>
#include <weir/probe_tcp.h>
#include <weir/propagation.h>
#include <weir/registry.h>
#include <weir/retry.h>
#include <weir/sampler.h>
#include <weir/sim.h>
#include <weir/span_writer.h>
#include <weir/store.h>
#include <weir/tail.h>
#include <weir/telemetry.h>
#include <weir/trace.h>
#include <weir/trace_store.h>
#include <weir/tracer.h>

#endif
