package dev.precis.cli;

import static java.util.Map.entry;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.common.Terminal;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgGroupSpec;
import picocli.CommandLine.Model.OptionSpec;

/** Options of all commands: one name, one declaration. */
final class OptionsTest {
  /** Names with several meanings, and why each keeps them. */
  private static final Map<String, String> SEVERAL_MEANINGS =
      Map.ofEntries(
          entry(
              "--adapter", "generate and merge add up any number; train and align start from one"),
          entry(
              "--beta",
              "of the divergence of distillation in train, of the preference loss in align"),
          entry("--candidate", "evaluate's first is the baseline; review hides their names"),
          entry("--data", "reward reads labelled texts, the others dialogues"),
          entry(
              "--early-stopping", "of beam search in generate; an older name of a run's patience"),
          entry("--examples", "a file of few-shot examples in generate, a number in evaluate"),
          entry("--format", "review export writes more formats than review import reads"),
          entry("--input", "dialogues and texts; in review, comparisons of another program"),
          entry("--json", "prints JSON instead of a table; bench roofline writes a file beside it"),
          entry(
              "--label-smoothing", "over the vocabulary in train, of the order of pairs in align"),
          entry("--method", "train has methods that align does not have"),
          entry("--model", "serve takes several, each with a name; bench does without, by --size"),
          entry("--output", "a file of results, a run, a model or a folder of files"),
          entry("--queue", "review works on one; a card counts the texts of several"),
          entry("--quick", "leaves parts of demo out; takes a small model in bench roofline"),
          entry("--repeats", "measurements in bench, a share of pairs in review"),
          entry("--reward-label", "a reward in align, also with a minus sign; a score in review"),
          entry("--reward-model", "an older name of --toxicity-model in evaluate"),
          entry("--temperature", "of sampling; in train, of both models' distributions"),
          entry("--template", "of prompts; in reward, of what the reward model reads"));

  private static final CommandLine ROOT =
      Main.commandLine(
          new Terminal(
              new ByteArrayOutputStream(),
              new PrintStream(new ByteArrayOutputStream()),
              Map.of(),
              false,
              false));

  private static Stream<CommandLine> commands() {
    List<CommandLine> all = new ArrayList<>();
    collect(ROOT, all);
    return all.stream();
  }

  private static void collect(CommandLine command, List<CommandLine> all) {
    all.add(command);
    new TreeSet<>(command.getSubcommands().keySet())
        .forEach(name -> collect(command.getSubcommands().get(name), all));
  }

  private static Stream<String> names() {
    return commands().map(command -> command.getCommandSpec().qualifiedName(" "));
  }

  /** A declaration of an option: its place, type, and description before defaults are filled in. */
  private static String declaration(OptionSpec option) {
    return option.userObject()
        + " "
        + option.type().getSimpleName()
        + " "
        + option.paramLabel()
        + " "
        + Arrays.toString(
            ((Field) option.userObject()).getAnnotation(CommandLine.Option.class).description());
  }

  /** Not picocli's own {@code --help} and {@code --version} of the root. */
  private static boolean isOurs(OptionSpec option) {
    return option.userObject() instanceof Field field
        && field.getDeclaringClass().getName().startsWith("dev.precis.");
  }

  @Test
  void aNameHasOneDeclaration() {
    Map<String, Set<String>> declarations = new TreeMap<>();
    commands()
        .flatMap(command -> command.getCommandSpec().options().stream())
        .filter(OptionsTest::isOurs)
        .forEach(
            option -> {
              for (String name : option.names()) {
                declarations.computeIfAbsent(name, any -> new TreeSet<>()).add(declaration(option));
              }
            });
    Map<String, Set<String>> several = new TreeMap<>(declarations);
    several.values().removeIf(each -> each.size() == 1);
    assertEquals(new TreeSet<>(SEVERAL_MEANINGS.keySet()), several.keySet());
    assertTrue(declarations.size() > 110, declarations.keySet().toString());
  }

  /** A command's own default must belong to an option that it has. */
  @Test
  void commandsChangeDefaultsOfTheirOwnOptions() {
    Map<String, String> found = new HashMap<>();
    commands()
        .forEach(
            command -> {
              for (OptionSpec option : command.getCommandSpec().options()) {
                found.put(
                    command.getCommandName() + " " + option.longestName(),
                    option.defaultValueString());
              }
            });
    assertEquals("16", found.get("align --batch-size"));
    assertEquals("0", found.get("align --lora-dropout"));
    assertEquals("0.05", found.get("train --lora-dropout"));
    assertEquals("8", found.get("train --batch-size"));
    assertEquals("1024", found.get("train --max-source-length"));
    assertEquals("4096", found.get("generate --max-source-length"));
    assertEquals("2", found.get("ppo --repeats"));
  }

  @ParameterizedTest
  @MethodSource("names")
  void helpFits80ColumnsAndBreaksNoWord(String name) {
    CommandLine command = ROOT;
    for (String part : name.split(" ")) {
      command = part.equals("precis") ? command : command.getSubcommands().get(part);
    }
    String help = command.getUsageMessage(CommandLine.Help.Ansi.OFF);
    List<String> lines = help.lines().toList();
    for (int i = 0; i < lines.size(); i++) {
      assertTrue(lines.get(i).length() <= 80, lines.get(i));
      assertTrue(!lines.get(i).matches(".*\\w-"), "broken word: " + lines.get(i));
    }
    if (!name.equals("precis")) {
      assertTrue(help.matches("(?s).*Examples?:.*precis .*"), help);
    }
    List<ArgGroupSpec> groups = command.getCommandSpec().argGroups();
    for (OptionSpec option : command.getCommandSpec().options()) {
      String shown =
          option.negatable()
              ? option.longestName().replaceFirst("^--", "--[no-]")
              : option.longestName();
      assertTrue(help.contains(shown), shown + " of " + groups);
      assertTrue(!help.contains("null"), help);
    }
  }
}
