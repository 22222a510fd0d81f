/* Choosing among members by weight; one is drained, one is lost, picks go on. */
#include <weir/balancer.h>

#include <stdio.h>

static void print_picks(weir_balancer *balancer, const char *title)
{
    printf("%-22s", title);
    for (int i = 0; i < 12; i++) {
        weir_pick pick;
        int const result = weir_balancer_pick(balancer, NULL, &pick);
        if (result != WEIR_OK) {
            printf(" %s", weir_strerror(result));
            break;
        }
        printf(" %s", pick.member->id);
        (void)weir_balancer_done(balancer, &pick, WEIR_SUCCESS, 1500000);
    }
    printf("\n");
}

static void print_member(const weir_member *member, const weir_member_stats *stats, void *user)
{
    (void)user;
    printf("%s at %s: %llu calls, %u in flight\n", member->id, member->address,
           (unsigned long long)stats->completed, stats->in_flight);
}

int main(void)
{
    weir_balancer_options options = WEIR_BALANCER_OPTIONS_INIT;
    options.algorithm = WEIR_SMOOTH_WEIGHTED;
    weir_balancer *balancer;
    int result = weir_balancer_create(&balancer, &options);
    if (result != WEIR_OK) {
        (void)fprintf(stderr, "balancer: %s\n", weir_strerror(result));
        return 1;
    }

    weir_member members[3] = {WEIR_MEMBER_INIT, WEIR_MEMBER_INIT, WEIR_MEMBER_INIT};
    members[0].id = "big", members[0].address = "10.0.0.1:80", members[0].weight = 4;
    members[1].id = "mid", members[1].address = "10.0.0.2:80", members[1].weight = 2;
    members[2].id = "spare", members[2].address = "10.0.0.3:80", members[2].priority = 1;
    result = weir_balancer_update(balancer, members, 3, 1);
    if (result == WEIR_OK) {
        print_picks(balancer, "by weight:");
        result = weir_balancer_set_flags(balancer, "big", WEIR_MEMBER_DRAIN, 0);
        print_picks(balancer, "big drains:");
        if (result == WEIR_OK)
            result = weir_balancer_mark_down(balancer, "mid");
        print_picks(balancer, "mid is down as well:");
        weir_balancer_visit(balancer, print_member, NULL);
    }
    weir_balancer_destroy(balancer);
    return result == WEIR_OK ? 0 : 1;
}
