// Prints the utterances of a file or stream of events:
// gscon-live subscribe --format jsonl | dotnet run      (or Client.exe, with Mono)
// In Unity, read with JsonConvert.DeserializeObject<UtteranceEvent>(line): the same types serve.
using System;
using System.Globalization;
using System.IO;
using System.Runtime.Serialization.Json;
using System.Text;

namespace Gscon
{
    public static class Client
    {
        static readonly DataContractJsonSerializerSettings Settings =
            new DataContractJsonSerializerSettings { UseSimpleDictionaryFormat = true };

        public static T Read<T>(string line)
        {
            using (var bytes = new MemoryStream(Encoding.UTF8.GetBytes(line)))
                return (T)new DataContractJsonSerializer(typeof(T), Settings).ReadObject(bytes);
        }

        public static void Main()
        {
            var input = new StreamReader(Console.OpenStandardInput(), Encoding.UTF8);
            Console.OutputEncoding = new UTF8Encoding(false);
            for (string line; (line = input.ReadLine()) != null;)
            {
                if (Read<Event>(line).Type != "utterance") continue;
                var answer = Read<UtteranceEvent>(line);
                var joy = answer.Emotion.Probabilities["joy"].ToString(CultureInfo.InvariantCulture);
                Console.WriteLine(
                    $"{answer.Utterance.Speaker}: {answer.Emotion.Label} (joy {joy}) {answer.Utterance.Text}");
            }
        }
    }
}
