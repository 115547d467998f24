package dev.precis.server;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The packages of the server: no cycle, and pages that know no models. */
class ArchitectureTest {
  private static final JavaClasses ALL =
      new ClassFileImporter().importPath(Path.of("target/classes"));

  @Test
  void packagesHaveNoCycles() {
    slices().matching("dev.precis.(server..)").should().beFreeOfCycles().check(ALL);
  }

  @Test
  void pagesAndTransportKnowNoModels() {
    noClasses()
        .that()
        .resideInAnyPackage("dev.precis.server.pages", "dev.precis.server.http")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("dev.precis.server.models", "dev.precis.server.api")
        .check(ALL);
  }
}
