package dev.precis.tools.sass;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SassTest {
  private static final String KERNEL = "_ZN6precis10add_kernelEv";

  private static Path root() {
    Path folder = Path.of("").toAbsolutePath();
    while (!Files.exists(folder.resolve("cuda-kernels"))) {
      folder = folder.getParent();
    }
    return folder;
  }

  /** A cubin with sections for the names and for one kernel's code. */
  private static byte[] cubin(long... words) {
    byte[] names = ("\0.shstrtab\0.text." + KERNEL + "\0").getBytes(StandardCharsets.UTF_8);
    int code = 64 + names.length + (8 - names.length % 8);
    int sections = code + words.length * 8;
    ByteBuffer elf = ByteBuffer.allocate(sections + 3 * 64).order(ByteOrder.LITTLE_ENDIAN);
    elf.put(new byte[] {0x7f, 'E', 'L', 'F', 2, 1});
    elf.putLong(0x28, sections).putShort(0x3a, (short) 64).putShort(0x3c, (short) 3);
    elf.putShort(0x3e, (short) 1).position(64).put(names).position(code);
    for (long each : words) {
      elf.putLong(each);
    }
    elf.putInt(sections + 64, 1).putLong(sections + 64 + 0x18, 64);
    elf.putInt(sections + 128, 11).putLong(sections + 128 + 0x18, code);
    elf.putLong(sections + 128 + 0x20, words.length * 8L);
    return elf.array();
  }

  /** The guard of ordinary builds: no compiler is needed to see that the table is out of date. */
  @Test
  void theCommittedTableIsOfTheseKernelsAndKeepsTheRules() throws IOException {
    assertEquals(List.of(), Sass.rules(root()));
  }

  @Test
  void theTableIsMadeWithTheBuildsFlags() throws IOException {
    String build = Files.readString(root().resolve("cuda-kernels/gpu/CMakeLists.txt"));
    assertTrue(build.contains("set(flags " + String.join(" ", Sources.FLAGS) + " "));
  }

  @Test
  void codeIsReadFromACubin() throws IOException {
    Map<String, Instruction[]> kernels = Cubin.kernels("a.cubin", cubin(1, 2, 3, 4));
    assertEquals(List.of(KERNEL), List.copyOf(kernels.keySet()));
    assertArrayEquals(
        new Instruction[] {new Instruction(1, 2), new Instruction(3, 4)}, kernels.get(KERNEL));
  }

  @Test
  void aDamagedCubinIsNamed() {
    byte[] whole = cubin(1, 2);
    byte[] cut = Arrays.copyOf(whole, whole.length - 100);
    IOException e = assertThrows(IOException.class, () -> Cubin.kernels("a.cubin", cut));
    assertEquals("a.cubin is cut off or damaged: delete it.", e.getMessage());
    assertThrows(IOException.class, () -> Cubin.kernels("a.cubin", new byte[80]));
  }

  @Test
  void spillsOfCalledFunctionsCount() {
    String log =
        """
        ptxas info    : 0 bytes gmem
        ptxas info    : Compiling entry function '_Z1kv' for 'sm_90a'
        ptxas info    : Function properties for _Z1kv
            8 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads
        ptxas info    : Used 60 registers, used 0 barriers
        ptxas info    : Function properties for _Z1fv
            0 bytes stack frame, 12 bytes spill stores, 12 bytes spill loads
        """;
    assertEquals(Map.of("_Z1kv", new Kernel.Resources(60, 16, 20)), Sass.resources(log));
  }

  @Test
  void namesKeepTemplateArgumentsAlone() {
    assertEquals(
        "elements_kernel<Adam>",
        Kernel.shortName(
            "void precis::elements_kernel<precis::(anonymous namespace)::Adam>(precis::(anonymous"
                + " namespace)::Adam, long, long)"));
    assertEquals(
        "k<Ring<128, (Low)0> >",
        Kernel.shortName(
            "void precis::(anonymous namespace)::k<precis::(anonymous namespace)::Ring<128,"
                + " (precis::(anonymous namespace)::Low)0> >(int (*)(long))"));
  }

  @Test
  void aTableIsReadAsItIsWritten() {
    Kernel one = new Kernel("b.cu", "k<1, 2>", 32, 4, 8, 2, 4, 0, 3, "16:8 4:1", 0, 1, 2, 3, 4);
    Kernel other = new Kernel("a.cu", "k", 16, 0, 0, 0, 0, 8, 0, "-", 0, 0, 0, 0, 0);
    Table table = new Table("13.0.88", "sm_90a", "abc", List.of(one, other));
    assertEquals(List.of(other, one), table.kernels());
    assertEquals(table, Table.parse(table.text()));
    assertThrows(IllegalArgumentException.class, () -> Table.parse("a.cu\tk\t16\n"));
    assertThrows(
        IllegalArgumentException.class, () -> Kernel.parse(one.row().replace("\t32\t", "\tx\t")));
  }
}
