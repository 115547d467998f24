package dev.precis.data.builtin;

import dev.precis.random.SplitMix64;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The sentences that dialogues are made of, from {@code situations.txt}, which explains itself. */
final class Situations {
  private static final Pattern RANGE = Pattern.compile("(\\d+)\\.\\.(\\d+)(?: by (\\d+))?");
  private static final Pattern TURN = Pattern.compile("([A-DXY]): (.*)");

  private final Map<String, List<String>> values = new HashMap<>();
  private final Map<String, Phrase> macros = new HashMap<>();
  private final List<Situation> situations = new ArrayList<>();
  private final List<SmallTalk> smallTalk = new ArrayList<>();
  private final List<RudeExchange> rudeExchanges = new ArrayList<>();

  /** The values of a slot: one of the options, or a number of a range. */
  record SlotType(String name, List<String> options, int from, int to, int step) {
    String draw(SplitMix64 random) {
      return options.isEmpty()
          ? Integer.toString(from + step * random.below((to - from) / step + 1))
          : options.get(random.below(options.size()));
    }
  }

  /** A part of a dialogue. */
  sealed interface Step {}

  /** Somebody says something. */
  record Turn(String speaker, Phrase text) implements Step {}

  /** Here small talk may come in. */
  record Pause() implements Step {}

  /** Here one speaker may be rude to another. */
  record Provocation(String rude, String other) implements Step {}

  /** One way to go on, and the summaries of the whole then. */
  record Case(String name, List<SlotType> slots, List<Step> steps, List<Phrase> summaries) {}

  /** The subject of a dialogue: how it begins, and the ways in which it continues. */
  record Situation(
      String topic,
      List<String> speakers,
      List<SlotType> slots,
      List<Step> steps,
      List<Case> cases) {}

  /** Talk between X and Y that no summary has. */
  record SmallTalk(String name, List<SlotType> slots, List<Turn> turns) {}

  /** X insults Y; what a fair and what a careless summary says of it. */
  record RudeExchange(
      String name,
      List<SlotType> slots,
      List<Turn> turns,
      List<Phrase> polite,
      List<Phrase> rude) {}

  /** The block that is being read: a situation, small talk or a rude exchange. */
  private static final class Block {
    final char kind;
    final String name;
    List<String> speakers = List.of("A", "B");
    final List<Part> parts = new ArrayList<>(List.of(new Part("")));

    Block(char kind, String name) {
      this.kind = kind;
      this.name = name;
    }
  }

  private static final class Part {
    final String name;
    final List<SlotType> slots = new ArrayList<>();
    final List<Step> steps = new ArrayList<>();
    final List<Phrase> summaries = new ArrayList<>();
    final List<Phrase> rudeSummaries = new ArrayList<>();

    Part(String name) {
      this.name = name;
    }

    List<Turn> turns() {
      return steps.stream().map(Turn.class::cast).toList();
    }
  }

  private Situations() {}

  /** Reads the project's own file. */
  static Situations load() {
    try (InputStream in = Situations.class.getResourceAsStream("situations.txt")) {
      return parse(new String(in.readAllBytes(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Situations parse(String text) {
    Situations all = new Situations();
    List<Block> blocks = new ArrayList<>();
    int number = 0;
    for (String line : text.lines().toList()) {
      number++;
      if (!line.isBlank() && !line.startsWith("//")) {
        try {
          all.parseLine(line.strip(), blocks);
        } catch (RuntimeException e) {
          throw new IllegalArgumentException("Line " + number + ": " + e.getMessage(), e);
        }
      }
    }
    blocks.forEach(all::add);
    return all;
  }

  private void parseLine(String line, List<Block> blocks) {
    String[] words = line.split(" ", 2);
    String rest = words.length < 2 ? "" : words[1];
    Matcher turn = TURN.matcher(line);
    if (turn.matches()) {
      part(blocks).steps.add(new Turn(turn.group(1), Phrase.parse(turn.group(2))));
      return;
    }
    switch (words[0]) {
      case "values" -> values.put(key(rest), options(rest.substring(rest.indexOf(':') + 1)));
      case "macro" ->
          macros.put(key(rest), Phrase.parse(oneOf(rest.substring(rest.indexOf(':') + 1))));
      case "==", "++", "!!" -> blocks.add(new Block(words[0].charAt(0), rest));
      case "speakers" -> blocks.getLast().speakers = List.of(rest.split(" "));
      case "slot" -> part(blocks).slots.add(slot(rest));
      case "--" -> blocks.getLast().parts.add(new Part(rest));
      case "..." -> part(blocks).steps.add(new Pause());
      case "!" -> {
        String[] pair = rest.split(" ");
        part(blocks).steps.add(new Provocation(pair[0], pair[1]));
      }
      case "=" -> part(blocks).summaries.add(Phrase.parse(rest));
      case "~" -> part(blocks).rudeSummaries.add(Phrase.parse(rest));
      default -> throw new IllegalArgumentException("'" + line + "' is nothing known");
    }
  }

  private static Part part(List<Block> blocks) {
    return blocks.getLast().parts.getLast();
  }

  private static String key(String definition) {
    return definition.substring(0, definition.indexOf(':'));
  }

  private static List<String> options(String text) {
    return Arrays.stream(text.split("\\|")).map(String::strip).toList();
  }

  /** Macros stand inside of other texts: no spaces around the options. */
  private static String oneOf(String text) {
    return String.join("|", options(text));
  }

  private SlotType slot(String definition) {
    String[] nameAndType = definition.split(" ", 2);
    String type = nameAndType[1];
    Matcher range = RANGE.matcher(type);
    if (range.matches()) {
      int step = range.group(3) == null ? 1 : Integer.parseInt(range.group(3));
      int from = Integer.parseInt(range.group(1));
      return new SlotType(nameAndType[0], List.of(), from, Integer.parseInt(range.group(2)), step);
    }
    List<String> options = type.startsWith("@") ? values.get(type.substring(1)) : options(type);
    if (options == null) {
      throw new IllegalArgumentException("there are no values " + type);
    }
    return new SlotType(nameAndType[0], options, 0, 0, 1);
  }

  private void add(Block block) {
    Part head = block.parts.getFirst();
    switch (block.kind) {
      case '=' -> {
        List<Case> cases = new ArrayList<>();
        for (Part part : block.parts.subList(1, block.parts.size())) {
          cases.add(new Case(part.name, part.slots, part.steps, part.summaries));
        }
        situations.add(new Situation(block.name, block.speakers, head.slots, head.steps, cases));
      }
      case '+' -> smallTalk.add(new SmallTalk(block.name, head.slots, head.turns()));
      default ->
          rudeExchanges.add(
              new RudeExchange(
                  block.name, head.slots, head.turns(), head.summaries, head.rudeSummaries));
    }
  }

  List<Situation> situations() {
    return situations;
  }

  List<SmallTalk> smallTalk() {
    return smallTalk;
  }

  List<RudeExchange> rudeExchanges() {
    return rudeExchanges;
  }

  /** Returns the values of a type. */
  List<String> values(String type) {
    return values.get(type);
  }

  Phrase macro(String name) {
    Phrase macro = macros.get(name);
    if (macro == null) {
      throw new IllegalArgumentException("There is no macro <" + name + ">");
    }
    return macro;
  }
}
