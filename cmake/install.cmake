# cmake --install: the programs, the public headers, and what an application
# needs to find them, by pkg-config or by find_package(pitmaster).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(PIT_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/pitmaster)

foreach(program pit-web pit-worker pit)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()
install(DIRECTORY shared/include/pit DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")

# Manual pages and completions, made by the programs from their own tables.
if(TARGET pit AND TARGET pit-web AND TARGET pit-worker)
  set(MADE ${CMAKE_BINARY_DIR}/share)
  add_custom_command(OUTPUT ${MADE}/made.stamp VERBATIM
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${MADE}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${MADE}/man
    COMMAND pit man ${MADE}/man
    COMMAND pit-web --man > ${MADE}/man/pit-web.1
    COMMAND pit-worker --man > ${MADE}/man/pit-worker.1
    COMMAND pit completion bash > ${MADE}/pit.bash
    COMMAND pit completion zsh > ${MADE}/_pit
    COMMAND ${CMAKE_COMMAND} -E touch ${MADE}/made.stamp
    DEPENDS pit pit-web pit-worker)
  add_custom_target(pages ALL DEPENDS ${MADE}/made.stamp)
  install(DIRECTORY ${MADE}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${MADE}/pit.bash RENAME pit
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${MADE}/_pit
    DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
endif()

# The queue's scripts, assembled, for clients in other languages.
install(DIRECTORY ${CMAKE_BINARY_DIR}/scripts
  DESTINATION ${CMAKE_INSTALL_DATADIR}/pitmaster)

# Both are found again from where they lie, so that the tree can be moved.
file(RELATIVE_PATH PIT_PC_TO_PREFIX
  /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
# A view's stack ends in a guard: a large frame that is not probed page by page
# could jump over it.
include(CheckCCompilerFlag)
check_c_compiler_flag(-fstack-clash-protection PIT_HAS_STACK_CLASH)
if(PIT_HAS_STACK_CLASH)
  set(PIT_PC_APP_FLAGS " -fstack-clash-protection")
endif()
configure_file(cmake/pitmaster.pc.in ${CMAKE_BINARY_DIR}/pitmaster.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/pitmaster.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# What plain programs link.
install(TARGETS pit_client LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
configure_file(cmake/pitmaster-client.pc.in
  ${CMAKE_BINARY_DIR}/pitmaster-client.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/pitmaster-client.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# What applications' tests link.
install(TARGETS pit_test LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
configure_file(cmake/pitmaster-test.pc.in
  ${CMAKE_BINARY_DIR}/pitmaster-test.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/pitmaster-test.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# In a folder of its own: CMake takes the build folder for a prefix where
# build/bin stands in PATH, and would find there what is not installed.
configure_package_config_file(cmake/pitmasterConfig.cmake.in
  ${CMAKE_BINARY_DIR}/package/pitmasterConfig.cmake
  INSTALL_DESTINATION ${PIT_PACKAGE_DIR}
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_BINDIR
    CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(
  ${CMAKE_BINARY_DIR}/package/pitmasterConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/pitmasterConfig.cmake
  ${CMAKE_BINARY_DIR}/package/pitmasterConfigVersion.cmake
  DESTINATION ${PIT_PACKAGE_DIR})
