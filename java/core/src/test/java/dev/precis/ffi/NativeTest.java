package dev.precis.ffi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A library that cannot be loaded, in a process of its own: one loads it only once. */
class NativeTest {
  /** Program of the child process. */
  static final class Child {
    public static void main(String[] args) throws InterruptedException {
      Thread first = new Thread(Child::report);
      first.start();
      first.join();
      report();
    }

    private static void report() {
      try {
        Native.library();
        System.out.println("loaded");
      } catch (UnsatisfiedLinkError e) {
        System.out.println(e.getMessage());
      }
    }
  }

  @Test
  void everyCallerHearsWhyItCannotBeLoaded() throws Exception {
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-Dprecis.native.path=/nowhere/libprecis.so",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    List<String> lines =
        new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    String sentence =
        "Cannot load /nowhere/libprecis.so (from precis.native.path or PRECIS_NATIVE_PATH): Can't"
            + " load library: /nowhere/libprecis.so";
    assertEquals(List.of(sentence, sentence), lines);
    assertEquals(0, child.waitFor());
  }
}
