package io.reactorublk.uring.abi;

import java.io.IOException;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.SequenceLayout;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Holds classes written by jextract against what the C compiler makes of the kernel's newest
 * headers: each size, alignment, offset and constant becomes a {@code _Static_assert}, and the
 * compiler is asked for its opinion. Whatever cannot be had, the headers or the compiler, is a
 * failure.
 */
public final class AbiAgainstC {

    /** How much was held against C: whoever calls says how much there ought to be. */
    public record Checked(int structs, int fields, int constants) {}

    /** Unpacks the newest package of the kernel's headers and prints where; seen from a module. */
    private static final List<String> HEADERS_COMMAND =
            List.of("../reactor-uring/linux/debian", "--alone", "unstable", "linux-libc-dev");

    private final List<String> source = new ArrayList<>();
    private int structs;
    private int fields;
    private int constants;

    private AbiAgainstC() {}

    /**
     * Checks the given classes.
     *
     * @param includes what to include: a name below {@code usr/include}, or an absolute path
     * @throws AssertionError with the compiler's words, when C says otherwise
     */
    public static Checked check(List<Class<?>> generated, String... includes) {
        AbiAgainstC abi = new AbiAgainstC();
        for (String include : includes) {
            abi.source.add("#include \"" + include + '"');
        }
        for (Class<?> one : generated) {
            if (isStruct(one)) {
                String name = layout(one, "layout").name().orElseThrow();
                abi.struct(one, "struct " + name, name);
            } else {
                abi.constants(one);
            }
        }
        abi.compile();
        return new Checked(abi.structs, abi.fields, abi.constants);
    }

    /** The classes in the folder of the given one, so that no list has to be kept. */
    public static List<Class<?>> classesBeside(Class<?> one) {
        try {
            Path folder = Path.of(one.getResource(one.getSimpleName() + ".class").toURI()).getParent();
            List<Class<?>> classes = new ArrayList<>();
            try (var files = Files.newDirectoryStream(folder, "*.class")) {
                for (Path file : files) {
                    String name = file.getFileName().toString().replace(".class", "");
                    if (name.indexOf('$') < 0) {
                        classes.add(Class.forName(one.getPackageName() + '.' + name));
                    }
                }
            }
            return classes;
        } catch (URISyntaxException | IOException | ClassNotFoundException e) {
            throw new AssertionError("cannot list the classes beside " + one, e);
        }
    }

    /**
     * A structure and those inside it.
     *
     * @param type the structure in C
     * @param name the structure in messages
     */
    private void struct(Class<?> struct, String type, String name) {
        structs++;
        MemoryLayout layout = layout(struct, "layout");
        same("sizeof(" + type + ")", layout.byteSize(), "size of " + name);
        same("_Alignof(" + type + ")", layout.byteAlignment(), "alignment of " + name);
        for (Method method : struct.getDeclaredMethods()) {
            if (method.getName().endsWith("$offset") && method.getParameterCount() == 0) {
                String field = method.getName().replace("$offset", "");
                field(struct, type, field, name + '.' + field, integer(method));
            }
        }
        for (Class<?> inner : struct.getDeclaredClasses()) {
            String field = inner.getSimpleName();
            struct(inner, "__typeof__(" + member(type, field) + ')', name + '.' + field);
        }
    }

    private void field(Class<?> struct, String type, String field, String name, long offset) {
        fields++;
        same("__builtin_offsetof(" + type + ", " + field + ')', offset, "offset of " + name);
        MemoryLayout layout = layout(struct, field + "$layout");
        if (layout instanceof SequenceLayout sequence && sequence.elementCount() == 0) {
            // An array without end has no size in C; its elements have one.
            same("sizeof(" + member(type, field) + "[0])", sequence.elementLayout().byteSize(),
                    "size of " + name + "[0]");
        } else {
            same("sizeof(" + member(type, field) + ')', layout.byteSize(), "size of " + name);
        }
    }

    private void constants(Class<?> header) {
        for (Method method : header.getDeclaredMethods()) {
            Class<?> type = method.getReturnType();
            boolean isConstant = Modifier.isPublic(method.getModifiers())
                    && method.getParameterCount() == 0
                    && (type == int.class || type == long.class);
            if (isConstant) {
                constants++;
                String name = method.getName();
                same("sizeof(" + name + ')', type == int.class ? Integer.BYTES : Long.BYTES,
                        "width of " + name);
                // Java has no unsigned int: the same bits, read as the type that C gives them.
                same(name, "(__typeof__(" + name + ")) 0x" + Long.toHexString(integer(method)) + "ULL",
                        "value of " + name);
            }
        }
    }

    private void same(String inC, long inJava, String what) {
        same(inC, Long.toString(inJava), what);
    }

    private void same(String inC, String inJava, String what) {
        source.add("_Static_assert(" + inC + " == " + inJava + ", \"" + what + "\");");
    }

    private static String member(String type, String field) {
        return "((" + type + " *) 0)->" + field;
    }

    /** Only the unpacked headers are in sight ({@code -nostdinc}): none of this machine's own. */
    private void compile() {
        Path include = Headers.FOLDER.resolve("usr/include");
        try {
            Path file = Files.createTempFile("abi", ".c");
            try {
                Files.write(file, source);
                run(List.of("cc", "-fsyntax-only", "-nostdinc", "-I", include.toString(),
                        "-I", include.resolve("x86_64-linux-gnu").toString(), file.toString()));
            } finally {
                Files.delete(file);
            }
        } catch (IOException e) {
            throw new AssertionError("cannot write the C file", e);
        }
    }

    private static boolean isStruct(Class<?> generated) {
        return Arrays.stream(generated.getDeclaredMethods())
                .anyMatch(method -> method.getName().equals("layout"));
    }

    private static MemoryLayout layout(Class<?> struct, String method) {
        try {
            return (MemoryLayout) struct.getDeclaredMethod(method).invoke(null);
        } catch (ReflectiveOperationException e) {
            throw new AssertionError(struct + " has no usable " + method, e);
        }
    }

    private static long integer(Method method) {
        try {
            return ((Number) method.invoke(null)).longValue();
        } catch (ReflectiveOperationException e) {
            throw new AssertionError("cannot call " + method, e);
        }
    }

    /** What the command printed; all it complained about is in the error when it fails. */
    private static String run(List<String> command) {
        try {
            Path complaints = Files.createTempFile("abi", ".err");
            try {
                ProcessBuilder builder = new ProcessBuilder(command);
                builder.environment().put("LC_ALL", "C");
                Process process = builder.redirectError(complaints.toFile()).start();
                String printed =
                        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                int status = process.waitFor();
                if (status != 0) {
                    throw new AssertionError(String.join(" ", command) + " ended with " + status
                            + ":\n" + Files.readString(complaints));
                }
                return printed.strip();
            } finally {
                Files.delete(complaints);
            }
        } catch (IOException e) {
            throw new AssertionError("cannot run " + command.getFirst() + ", which this test needs", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted while running " + command.getFirst(), e);
        }
    }

    /** Fetched once, when first asked for. */
    private static final class Headers {
        static final Path FOLDER = Path.of(run(HEADERS_COMMAND));
    }
}
