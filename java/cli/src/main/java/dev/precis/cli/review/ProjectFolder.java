package dev.precis.cli.review;

import dev.precis.review.comparison.ComparisonProject;
import java.nio.file.Path;
import picocli.CommandLine.Parameters;

/** The folder of a comparison project. */
final class ProjectFolder {
  @Parameters(
      paramLabel = "FOLDER",
      description = "The project that precis review start made, which may be open at the time.")
  private Path folder;

  ComparisonProject read() {
    return ComparisonProject.read(folder);
  }
}
