package dev.precis.tools.sass;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SourcesTest {
  @TempDir Path root;

  @BeforeEach
  void write() throws IOException {
    write("cuda-kernels/src/add.cu", "#include \"add.cuh\"\n#include <cmath>\nint f();\n");
    write("cuda-kernels/src/add.cuh", "#include \"ops/add.h\"\n");
    write("native/src/ops/add.h", "int g(); // the sum\n");
    write("native/src/ops/other.h", "int h();\n");
  }

  private void write(String file, String text) throws IOException {
    Files.createDirectories(root.resolve(file).getParent());
    Files.writeString(root.resolve(file), text);
  }

  private String fingerprint() throws IOException {
    Sources sources = new Sources(root);
    return sources.fingerprint(sources.kernels(), "sm_90a");
  }

  @Test
  void headersCountAndCommentsDoNot() throws IOException {
    String before = fingerprint();
    write("native/src/ops/add.h", "/* twice\n */\n\n  int  g();\n");
    write("native/src/ops/other.h", "long h();\n");
    assertEquals(before, fingerprint());
    write("native/src/ops/add.h", "long g();\n");
    assertNotEquals(before, fingerprint());
  }

  @Test
  void theListOfOperationsDoesNotCount() throws IOException {
    write("native/src/ops/add.h", "#include \"precis.h\"\nint g();\n");
    write("native/include/precis.h", "struct add;\n");
    String before = fingerprint();
    write("native/include/precis.h", "struct add;\nstruct sum;\n");
    assertEquals(before, fingerprint());
  }

  @Test
  void anotherArchitectureIsAnotherFingerprint() throws IOException {
    Sources sources = new Sources(root);
    assertNotEquals(
        sources.fingerprint(sources.kernels(), "sm_80"),
        sources.fingerprint(sources.kernels(), "sm_90a"));
  }

  @Test
  void stringsKeepWhatLooksLikeAComment() {
    assertEquals(
        "asm(\"ld // %0\"); x = '\"'; y",
        Sources.withoutComments("asm(\"ld // %0\");  x = '\"';\ty// z"));
  }
}
