package dev.precis.tools.sass;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The committed table.
 *
 * @param nvcc the version of the compiler
 * @param architecture such as {@code sm_90a}
 * @param fingerprint of the sources and of the headers that they include
 * @param kernels in the order of their sources and names
 */
public record Table(String nvcc, String architecture, String fingerprint, List<Kernel> kernels) {
  public Table {
    kernels =
        kernels.stream()
            .sorted(Comparator.comparing(Kernel::source).thenComparing(Kernel::name))
            .toList();
  }

  /** Returns the text of the file. */
  String text() {
    StringBuilder text = new StringBuilder();
    text.append(
        "# The machine code of the CUDA kernels: scripts/sass writes it and explains it.\n");
    text.append("# nvcc ").append(nvcc).append('\n');
    text.append("# architecture ").append(architecture).append('\n');
    text.append("# fingerprint ").append(fingerprint).append('\n');
    text.append(Kernel.HEADER).append('\n');
    kernels.forEach(kernel -> text.append(kernel.row()).append('\n'));
    return text.toString();
  }

  /**
   * Reads the file.
   *
   * @throws IllegalArgumentException with a sentence if it is damaged
   */
  public static Table parse(String text) {
    String nvcc = "";
    String architecture = "";
    String fingerprint = "";
    List<Kernel> kernels = new ArrayList<>();
    for (String line : text.lines().toList()) {
      if (line.startsWith("# nvcc ")) {
        nvcc = line.substring("# nvcc ".length());
      } else if (line.startsWith("# architecture ")) {
        architecture = line.substring("# architecture ".length());
      } else if (line.startsWith("# fingerprint ")) {
        fingerprint = line.substring("# fingerprint ".length());
      } else if (!line.startsWith("#") && !line.equals(Kernel.HEADER) && !line.isBlank()) {
        kernels.add(Kernel.parse(line));
      }
    }
    return new Table(nvcc, architecture, fingerprint, kernels);
  }
}
