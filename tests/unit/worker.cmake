# SPDX-License-Identifier: MIT
unit_test(relay judge)
unit_test(queues common)
target_sources(queues_test PRIVATE ${PROJECT_SOURCE_DIR}/worker/relay/queues.c)
unit_test(guard common)
target_sources(guard_test PRIVATE ${PROJECT_SOURCE_DIR}/worker/sandbox/guard.c)
unit_test(rlimits common)
target_sources(rlimits_test PRIVATE ${PROJECT_SOURCE_DIR}/worker/sandbox/rlimits.c)
target_link_options(rlimits_test PRIVATE -Wl,--wrap=mmap)
