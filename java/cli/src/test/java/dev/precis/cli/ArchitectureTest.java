package dev.precis.cli;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The packages of the commands: no cycle, and no way back to {@link Main}. */
class ArchitectureTest {
  private static final JavaClasses ALL =
      new ClassFileImporter().importPath(Path.of("target/classes"));

  @Test
  void packagesHaveNoCycles() {
    slices().matching("dev.precis.(cli..)").should().beFreeOfCycles().check(ALL);
  }

  @Test
  void commandsDoNotUseTheMainPackage() {
    noClasses()
        .that()
        .resideInAPackage("dev.precis.cli.*..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("dev.precis.cli")
        .check(ALL);
  }
}
