package dev.precis.cli.options;

import java.nio.file.Path;

/**
 * A run that a command begins or resumes.
 *
 * @param output its folder
 * @param resume whether it is resumed
 * @param checksMemory whether its plan is compared with the memory that is available
 */
public record RunTarget(Path output, boolean resume, boolean checksMemory) {}
