# SPDX-License-Identifier: MIT
unit_test(config common)
target_sources(config_test PRIVATE 
  ${PROJECT_SOURCE_DIR}/supervisor/config.c ${PROJECT_SOURCE_DIR}/supervisor/listening.c)
unit_test(json common)
target_sources(json_test PRIVATE ${PROJECT_SOURCE_DIR}/supervisor/ctl/json.c)
unit_test(json_check common)
target_sources(json_check_test PRIVATE ${PROJECT_SOURCE_DIR}/supervisor/ctl/json_check.c)
unit_test(room common)
target_sources(room_test PRIVATE ${PROJECT_SOURCE_DIR}/supervisor/ctl/room.c)
unit_test(unit common)
target_sources(unit_test PRIVATE ${PROJECT_SOURCE_DIR}/supervisor/unit.c)
unit_test(succession common)
target_sources(succession_test PRIVATE
  ${PROJECT_SOURCE_DIR}/supervisor/succession.c ${PROJECT_SOURCE_DIR}/supervisor/lifecycle.c ${PROJECT_SOURCE_DIR}/supervisor/unit.c)
unit_test(lifecycle common)
target_sources(lifecycle_test PRIVATE ${PROJECT_SOURCE_DIR}/supervisor/lifecycle.c ${PROJECT_SOURCE_DIR}/supervisor/unit.c)
unit_test(health common)
target_sources(health_test PRIVATE
  ${PROJECT_SOURCE_DIR}/supervisor/health.c ${PROJECT_SOURCE_DIR}/supervisor/unit.c ${PROJECT_SOURCE_DIR}/supervisor/loading.c ${PROJECT_SOURCE_DIR}/supervisor/spawn.c)
unit_test(runtime common)
target_sources(runtime_test PRIVATE ${PROJECT_SOURCE_DIR}/supervisor/runtime.c)
unit_test(scaling common)
target_sources(scaling_test PRIVATE ${PROJECT_SOURCE_DIR}/supervisor/scaling.c)
unit_test(cgroup common)
target_sources(cgroup_test PRIVATE
  ${PROJECT_SOURCE_DIR}/supervisor/cgroup.c ${PROJECT_SOURCE_DIR}/supervisor/cgroup_find.c
  ${PROJECT_SOURCE_DIR}/supervisor/cgroup_files.c ${PROJECT_SOURCE_DIR}/supervisor/cgroup_leaves.c)
target_link_options(cgroup_test PRIVATE -Wl,--wrap=mkdir,--wrap=rmdir)
