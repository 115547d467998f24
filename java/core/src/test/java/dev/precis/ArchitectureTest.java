package dev.precis;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleDescriptor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The floor plan: which package may use which, and what the module exports. */
class ArchitectureTest {
  private static final Path CLASSES = Path.of("target/classes");
  private static final String ROOT = "dev.precis";

  /** From the ground up; a package uses only packages that stand before it. */
  private static final List<String> FLOORS =
      List.of(
          "io",
          "random",
          "device",
          "ffi.generated",
          "ffi",
          "tensor",
          "checkpoint",
          "hub",
          "ops",
          "text",
          "data.arrow",
          "data",
          "data.builtin",
          "layers",
          "lora",
          "t5",
          "encoder",
          "heads",
          "generation",
          "evaluation",
          "evaluation.safety",
          "review",
          "review.comparison",
          "review.exchange",
          "training",
          "", // the doors: T5 and Classifier
          "alignment",
          "alignment.reward",
          "alignment.preference",
          "alignment.policy");

  private static final JavaClasses ALL = new ClassFileImporter().importPath(CLASSES);

  private static String floor(JavaClass each) {
    String name = each.getPackageName();
    return name.equals(ROOT) ? "" : name.substring(ROOT.length() + 1);
  }

  private static boolean ours(JavaClass each) {
    return each.getPackageName().equals(ROOT) || each.getPackageName().startsWith(ROOT + ".");
  }

  @Test
  void everyPackageIsOnTheFloorPlan() {
    Set<String> packages =
        ALL.stream()
            .filter(ArchitectureTest::ours)
            .map(ArchitectureTest::floor)
            .collect(Collectors.toCollection(TreeSet::new));
    assertEquals(new TreeSet<>(FLOORS), packages);
  }

  @Test
  void packagesUseOnlyLowerFloors() {
    Set<String> wrong = new TreeSet<>();
    for (JavaClass each : ALL) {
      for (Dependency dependency : each.getDirectDependenciesFromSelf()) {
        JavaClass target = dependency.getTargetClass().getBaseComponentType();
        if (ours(target) && FLOORS.indexOf(floor(target)) > FLOORS.indexOf(floor(each))) {
          wrong.add(each.getName() + " uses " + target.getName());
        }
      }
    }
    assertEquals(Set.of(), wrong);
  }

  @Test
  void nativeCallsAreBehindOps() {
    Set<String> users = new TreeSet<>();
    for (JavaClass each : ALL) {
      for (Dependency dependency : each.getDirectDependenciesFromSelf()) {
        JavaClass target = dependency.getTargetClass().getBaseComponentType();
        if (ours(target) && floor(target).equals("ffi")) {
          users.add(floor(each));
        }
        if (ours(target) && floor(target).equals("ffi.generated")) {
          assertTrue(
              Set.of("ffi", "ffi.generated", "ops").contains(floor(each)),
              () -> each.getName() + " uses " + target.getName());
        }
      }
    }
    assertEquals(Set.of("ffi", "ops"), users);
  }

  /** A file that uses another one is never used by it, be it over others. */
  @Test
  void noFilesUseEachOther() {
    Map<String, Set<String>> uses = new TreeMap<>();
    for (JavaClass each : ALL) {
      if (ours(each) && !floor(each).equals("ffi.generated")) {
        Set<String> used = uses.computeIfAbsent(file(each), name -> new TreeSet<>());
        for (Dependency dependency : each.getDirectDependenciesFromSelf()) {
          JavaClass target = dependency.getTargetClass().getBaseComponentType();
          if (ours(target)) {
            used.add(file(target));
          }
        }
        used.remove(file(each));
      }
    }
    // A file that nothing left uses, or that uses nothing left, is in no cycle.
    for (boolean removed = true; removed; ) {
      Set<String> left = Set.copyOf(uses.keySet());
      uses.values().forEach(used -> used.retainAll(left));
      Set<String> used = new TreeSet<>();
      uses.values().forEach(used::addAll);
      removed = uses.entrySet().removeIf(e -> e.getValue().isEmpty() || !used.contains(e.getKey()));
    }
    assertEquals(Map.of(), uses);
  }

  private static String file(JavaClass each) {
    String name = each.getName();
    int nested = name.indexOf('$');
    return nested < 0 ? name : name.substring(0, nested);
  }

  @Test
  void exportedPackagesHaveADescription() throws IOException {
    try (InputStream in = Files.newInputStream(CLASSES.resolve("module-info.class"))) {
      ModuleDescriptor module = ModuleDescriptor.read(in);
      assertEquals("dev.precis.core", module.name());
      for (ModuleDescriptor.Exports each : module.exports()) {
        Path description =
            Path.of("src/main/java", each.source().replace('.', '/'), "package-info.java");
        assertTrue(Files.exists(description), () -> description + " is missing");
        assertTrue(!each.source().startsWith("dev.precis.ffi"), each.source());
      }
    }
  }
}
