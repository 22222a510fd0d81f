/* A guarded call, blocking: three members, one of them broken; retries find the others. */
#include <weir/caller.h>

#include <stdio.h>

/* Stands for a request to attempt->member->address: member "b" is broken. */
static void request(const weir_attempt *attempt, weir_attempt_result *result, void *user)
{
    (void)user;
    result->outcome = attempt->member->id[0] == 'b' ? WEIR_FAILURE : WEIR_SUCCESS;
}

static void print_member(const weir_caller_member *member, void *user)
{
    (void)user;
    printf("%s: %llu calls, %llu failed, breaker %s\n", member->member->id,
           (unsigned long long)member->stats.completed, (unsigned long long)member->stats.failures,
           weir_breaker_state_name(member->breaker.state));
}

int main(void)
{
    weir_breaker_options breaker = WEIR_BREAKER_OPTIONS_INIT;
    breaker.consecutive_failures = 3;
    weir_retry_options retry = WEIR_RETRY_OPTIONS_INIT;
    retry.base_ns = 1000000;
    weir_caller_options options = WEIR_CALLER_OPTIONS_INIT;
    options.breaker = &breaker;
    options.retry = &retry;
    options.timeout_ns = 2000000000;

    weir_caller *caller;
    weir_member members[3] = {WEIR_MEMBER_INIT, WEIR_MEMBER_INIT, WEIR_MEMBER_INIT};
    members[0].id = "a", members[1].id = "b", members[2].id = "c";
    int result = weir_caller_create(&caller, &options);
    if (result == WEIR_OK)
        result = weir_caller_set_members(caller, members, 3, 1);
    if (result != WEIR_OK) {
        (void)fprintf(stderr, "caller: %s\n", weir_strerror(result));
        return 1;
    }

    int succeeded = 0;
    for (int i = 0; i < 30; i++)
        succeeded += weir_caller_execute(caller, NULL, request, NULL, NULL) == WEIR_OK;
    printf("%d of 30 calls succeeded\n", succeeded);
    weir_caller_visit(caller, print_member, NULL);
    weir_caller_destroy(caller);
    return 0;
}
